"""A lesson in PyTorch, as a side of a comparison."""

from collections.abc import Iterator
from itertools import islice
from time import perf_counter

import numpy as np

from jax_rnn.lecture.compare.side import LessonSide, Setup, Step, first_batch, lesson_arguments
from jax_rnn.testing.torch_side import TorchSide, gradient_of

__all__ = ["TorchLesson"]


class TorchLesson(TorchSide, LessonSide):
    """The lesson of ``reference_torch``, trained step by step."""

    def __init__(self, setup: Setup):
        import torch

        import reference_torch

        self.setup, self.lesson, self.seconds = setup, reference_torch.load(setup.name), {}
        torch.manual_seed(setup.seed)
        module = self.lesson.build(setup.recipe, setup.data.vocabulary)
        module.to(getattr(torch, setup.recipe.dtype))
        super().__init__(module, lesson_arguments(self.lesson, setup, module.forward))

    def loss_gradients(self) -> dict[str, np.ndarray]:
        from reference_torch.teaching.lesson import tensors

        batch = tensors(first_batch(self.lesson, self.setup), self.module)
        self.module.zero_grad()
        self.lesson.loss(self.module, batch)[0].backward()
        found = {k: gradient_of(p) for k, p in self.module.named_parameters()}
        self.module.zero_grad()
        return found

    def train(self, steps: int) -> Iterator[Step]:
        from reference_torch.teaching.training import train

        setup, lesson = self.setup, self.lesson
        run = train(lesson, self.module, setup.recipe, setup.data)
        seconds, start = 0.0, perf_counter()
        for _, loss, metrics in islice(run, steps):
            seconds += perf_counter() - start
            predicted = metrics.get("prediction")
            yield Step(loss, None if predicted is None else lesson.facts.text(predicted))
            start = perf_counter()
        self.seconds["run"] = seconds

    def evaluate(self) -> dict[str, float]:
        self.module.eval()
        return dict(self.lesson.evaluate(self.module, self.setup.data))
