"""Run a lesson and produce the output of its slide."""

from collections.abc import Iterator
from typing import Any

from jax_rnn.lessons.lesson import Lesson

__all__ = ["transcript"]


def transcript(lesson: Lesson, model: Any, *, explain: bool = True) -> Iterator[str]:
    """Train ``model`` on ``lesson``, or run it if the lesson does not train; yield the output.

    A run that misses its target is reported. With ``explain``, the answer to the slide's question
    follows, which requires the lesson's own model.
    """
    if lesson.trained:
        yield from _training(lesson, model)
    else:
        yield from _forward(lesson, model)
    if explain:
        yield from lesson.explain(model)


def _training(lesson: Lesson, model: Any) -> Iterator[str]:
    history = lesson.train(model)
    predictions = history.metrics["prediction"]
    for epoch, (loss, ids) in enumerate(zip(history.loss, predictions, strict=True), start=1):
        yield f"epoch: {epoch}, loss: {loss:1.3f}"
        yield f"Predicted string: {lesson.text(ids)}"
    yield "Learning finished!"
    last = lesson.text(predictions[-1])
    if last != lesson.target:
        yield _missed(lesson, last)


def _missed(lesson: Lesson, last: str) -> str:
    assert lesson.target is not None
    right = sum(a == b for a, b in zip(last, lesson.target, strict=True))
    return (
        f"This run missed its target: {right} of {len(lesson.target)} letters are correct at the "
        f"end. `jax-rnn sweep {lesson.name}` shows how often other seeds reach it."
    )


def _forward(lesson: Lesson, model: Any) -> Iterator[str]:
    inputs, hidden = lesson.forward_arguments()
    out, _ = model(inputs, hidden)
    yield f"input size {inputs.shape}"
    yield f"out {out}"
    yield f"out size {out.shape}"
