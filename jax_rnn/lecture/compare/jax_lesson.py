"""A lesson in JAX, as a side of a comparison."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax
import numpy as np
from flax import nnx

from jax_rnn.interop.state_dict import torch_state_dict
from jax_rnn.lecture.compare.side import LessonSide, Setup, Step, first_batch, lesson_arguments
from jax_rnn.lecture.lessons import load
from jax_rnn.testing.jax_side import JaxSide

__all__ = ["JaxLesson"]


class JaxLesson(JaxSide, LessonSide):
    """The lesson of ``jax_rnn.lecture.lessons``; all its steps are one compiled program."""

    def __init__(self, setup: Setup):
        self.setup, self.lesson, self.seconds = setup, load(setup.name), {}
        rngs = nnx.Rngs(jax.random.key(np.uint32(setup.seed)))
        model = self.lesson.build(setup.recipe, setup.data.vocabulary, rngs=rngs)
        super().__init__(model, lesson_arguments(self.lesson, setup, model.__call__))

    def loss_gradients(self) -> dict[str, np.ndarray]:
        batch = first_batch(self.lesson, self.setup)
        carry = self.lesson.carry(self.module, self.lesson.batch_size(self.setup.recipe))
        more = {} if carry is None else {"carry": carry}
        return torch_state_dict(_gradients(self.lesson.loss, self.module, batch, more))

    def train(self, steps: int) -> Iterator[Step]:
        recipe, data = self.setup.recipe, self.setup.data
        history = self.lesson.fit(self.module, recipe, data, steps=steps)
        self.seconds |= {"compile": history.compile_seconds, "run": history.run_seconds}
        predictions = history.metrics.get("prediction")
        for k, loss in enumerate(history.loss.astype(float).tolist()):
            yield Step(
                loss, None if predictions is None else self.lesson.facts.text(predictions[k])
            )

    def evaluate(self) -> dict[str, float]:
        self.module.eval()
        return dict(self.lesson.evaluate(self.module, self.setup.data))


@partial(jax.jit, static_argnums=0)
def _gradients(loss: Callable[..., Any], model: Any, batch: Any, more: dict[str, Any]) -> Any:
    return jax.grad(lambda model: loss(model, batch, **more)[0])(model)
