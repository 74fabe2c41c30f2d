"""The definition of a lesson: facts, a model, its loss and its evaluation.

Axes: B (batch), T (time), I (input size), H (hidden size).
"""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from jax_rnn.data.dataset import Data
from rnn_lecture.facts import Facts
from rnn_lecture.sampling import Sampling

Batch = dict[str, torch.Tensor]
Hidden = torch.Tensor | tuple[torch.Tensor, ...]

LINES = 20
"""Steps between two printed losses."""


class Step(NamedTuple):
    """An optimizer step, counted from 1. Loss and metrics are those from before it."""

    step: int
    loss: float
    metrics: dict[str, np.ndarray]


class Lesson(Facts):
    """One program of the lecture.

    A subclass inherits the facts of its lesson from `rnn_lecture` and implements the methods; one
    instance of it, called `lesson`, is at the end of its file.
    """

    @abstractmethod
    def build(self, recipe: Any, vocabulary: Mapping[str, Any]) -> nn.Module:
        """A new model, its weights drawn from torch's global seed."""

    @abstractmethod
    def loss(
        self, model: Any, batch: Batch, hidden: Hidden | None = None
    ) -> tuple[torch.Tensor, Batch, Hidden | None]:
        """The loss, metrics, and the next state; None if every batch starts from zeros."""

    @abstractmethod
    def evaluate(self, model: Any, data: Data) -> dict[str, float]:
        """Figures on the held-out data, including `loss`. The caller has called `eval()`."""

    def respond(
        self, model: Any, vocabulary: Mapping[str, Any], prompt: str, sampling: Sampling
    ) -> Iterator[str]:
        """The answer of the model to a prompt, piece by piece."""
        raise ValueError(f"{self.name}: expected a lesson whose model answers a prompt")

    def examples(self, vocabulary: Mapping[str, Any]) -> Iterable[str]:
        """Prompts for samples after training."""
        return ()

    def lines(self, step: Step, last: bool) -> Iterator[str]:
        """What is printed about an optimizer step."""
        if last or step.step == 1 or step.step % LINES == 0:
            yield f"step: {step.step}, loss: {step.loss:.4f}"

    def report(self, model: Any, recipe: Any, data: Data) -> Iterator[str]:
        """What is printed about the trained model: samples."""
        for prompt in self.examples(data.vocabulary):
            yield f"--- {prompt}" if prompt else "---"
            yield "".join(self.respond(model, data.vocabulary, prompt, Sampling())).rstrip("\n")


def tensors(batch: Mapping[str, np.ndarray], model: nn.Module) -> Batch:
    """The arrays on the model's device: integers as int64, floating point in the model's dtype."""
    weight = next(model.parameters())

    def tensor(array: np.ndarray) -> torch.Tensor:
        if array.dtype.kind == "f":
            return torch.tensor(array).to(weight)
        return torch.tensor(array, dtype=None if array.dtype == bool else torch.long).to(
            weight.device
        )

    return {name: tensor(array) for name, array in batch.items()}
