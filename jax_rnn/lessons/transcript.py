"""A lesson as the slide prints it."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp

from jax_rnn.lessons.lesson import Lesson
from jax_rnn.typing import default_float

__all__ = ["transcript"]


def transcript(lesson: Lesson, model: Any, *, explain: bool = True) -> Iterator[str]:
    """Train ``model`` on ``lesson``, or run it where nothing is trained; what the slide prints.

    With ``explain`` the answer to the slide's question follows; it expects the lesson's own model.
    """
    if not lesson.trained:
        yield from _forward(lesson, model)
        return
    history = lesson.train(model)
    predictions = history.metrics["prediction"]
    for epoch, (loss, ids) in enumerate(zip(history.loss, predictions, strict=True), start=1):
        yield f"epoch: {epoch}, loss: {loss:1.3f}"
        yield f"Predicted string: {lesson.text(ids)}"
    yield "Learning finished!"
    if explain:
        yield from lesson.explain(model)


def _forward(lesson: Lesson, model: Any) -> Iterator[str]:
    inputs = jnp.asarray(lesson.inputs, default_float())
    hidden = jax.tree.map(lambda x: jnp.asarray(x, default_float()), lesson.hidden)
    out, _ = model(inputs, hidden)
    yield f"input size {inputs.shape}"
    yield f"out {out}"
    yield f"out size {out.shape}"
