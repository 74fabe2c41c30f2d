"""A lesson in PyTorch.

Axes: B (batch), T (time), I (input size), H (hidden size).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from jax_rnn.data.dataset import Data
from rnn_lecture.facts import Program
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


@dataclass(frozen=True, eq=False, kw_only=True)
class Lesson(Program):
    """One program of the lecture.

    Attributes:
        model: class of the model, built as `model(**options)`.
        loss: `loss(model, batch) -> (loss, metrics)`; with `carries` it is called as `loss(model,
            batch, hidden)`, where hidden is None at first, and returns the next hidden state too.
        carries: whether the hidden state goes from each batch to the next.
    """

    carries: bool = False

    def build(self, recipe: Any, vocabulary: Mapping[str, Any]) -> nn.Module:
        """A new model, its weights drawn from torch's global seed."""
        return self.builder(recipe)(**self.options(recipe, vocabulary))

    def lines(self, step: Step, last: bool) -> Iterator[str]:
        """What is printed about an optimizer step."""
        if last or step.step == 1 or step.step % LINES == 0:
            yield f"step: {step.step}, loss: {step.loss:.4f}"


@dataclass(frozen=True, eq=False, kw_only=True)
class DataSetLesson(Lesson):
    """A lesson on a data set; its file has the functions.

    Attributes:
        evaluate: `evaluate(model, data)`, figures on the held-out data, including `loss`; the
            caller has called `eval()`.
        respond: `respond(model, vocabulary, prompt, sampling)`, the answer of the model to a
            prompt, piece by piece; None if it answers none.
        examples: prompts for samples after training.
    """

    evaluate: Callable[[Any, Data], dict[str, float]]
    respond: Any = None
    examples: tuple[str, ...] = ()

    def report(self, model: Any, recipe: Any, data: Data) -> Iterator[str]:
        """What is printed about the trained model: samples."""
        for prompt in self.examples:
            yield f"--- {prompt}" if prompt else "---"
            yield "".join(self.respond(model, data.vocabulary, prompt, Sampling())).rstrip("\n")


def tensors(batch: Mapping[str, np.ndarray], model: nn.Module) -> Batch:
    """The arrays of a batch as tensors, see `tensor`."""
    return {name: tensor(array, model) for name, array in batch.items()}


def tensor(array: np.ndarray, model: nn.Module) -> torch.Tensor:
    """The array on the model's device: integers as int64, floating point in the model's dtype."""
    weight = next(model.parameters())
    if array.dtype.kind == "f":
        return torch.tensor(array).to(weight)
    dtype = None if array.dtype == bool else torch.long
    return torch.tensor(array, dtype=dtype, device=weight.device)
