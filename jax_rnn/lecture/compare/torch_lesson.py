"""A lesson in PyTorch, as a side of a comparison."""

from collections.abc import Iterator
from itertools import islice
from time import perf_counter

import numpy as np

from jax_rnn.lecture.compare.side import LessonSide, Program, Step, first_batch, lesson_arguments
from jax_rnn.testing.torch_side import TorchSide, gradient_of

__all__ = ["TorchLesson"]


class TorchLesson(TorchSide, LessonSide):
    """The lesson of ``reference_torch``, trained step by step."""

    def __init__(self, program: Program):
        import torch

        import reference_torch

        self.program, self.lesson, self.seconds = program, reference_torch.load(program.name), {}
        torch.manual_seed(program.seed)
        module = self.lesson.build(program.recipe, program.data.vocabulary)
        module.to(getattr(torch, program.recipe.dtype))
        super().__init__(module, lesson_arguments(self.lesson, program, module.forward))

    def loss_gradients(self) -> dict[str, np.ndarray]:
        from reference_torch.teaching.lesson import tensors

        batch = tensors(first_batch(self.lesson, self.program), self.module)
        self.module.zero_grad()
        self.lesson.loss(self.module, batch)[0].backward()
        found = {k: gradient_of(p) for k, p in self.module.named_parameters()}
        self.module.zero_grad()
        return found

    def train(self, steps: int) -> Iterator[Step]:
        from reference_torch.teaching.training import train

        program, lesson = self.program, self.lesson
        run = train(lesson, self.module, program.recipe, program.data)
        seconds, start = 0.0, perf_counter()
        for _, loss, metrics in islice(run, steps):
            seconds += perf_counter() - start
            predicted = metrics.get("prediction")
            yield Step(loss, None if predicted is None else lesson.text(predicted))
            start = perf_counter()
        self.seconds["run"] = seconds

    def evaluate(self) -> dict[str, float]:
        self.module.eval()
        return dict(self.lesson.evaluate(self.module, self.program.data))
