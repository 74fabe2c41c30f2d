"""The definition of a lesson on real data, and the shared training loop.

A task builds a model and computes its loss; data and batches are facts, see `rnn_lecture`.
"""

import math
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from rnn_lecture.facts import Facts
from rnn_lecture.sampling import Sampling

Batch = dict[str, torch.Tensor]
Hidden = torch.Tensor | tuple[torch.Tensor, ...]


class Step(NamedTuple):
    """An optimizer step, counted from 1, and the loss before it."""

    step: int
    loss: float


class Task(Facts):
    """One program of the lecture that learns from a data set.

    A subclass inherits the facts of its lesson from `rnn_lecture` and implements the methods; one
    instance of it, called `lesson`, is at the end of its file.
    """

    @abstractmethod
    def build(self, recipe: Any, vocabulary: Mapping[str, Any]) -> nn.Module:
        """A new model, its weights drawn from torch's global seed."""

    @abstractmethod
    def loss(
        self, model: Any, batch: Batch, hidden: Hidden | None = None
    ) -> tuple[torch.Tensor, Hidden | None]:
        """The loss and the next state; None if every batch starts from zeros."""

    @abstractmethod
    def evaluate(self, model: Any, data: Any) -> dict[str, float]:
        """Metrics on the held-out data, including `loss`. The caller has called `eval()`."""

    def respond(
        self, model: Any, vocabulary: Mapping[str, Any], prompt: str, sampling: Sampling
    ) -> Iterator[str]:
        """The answer of the model to a prompt, piece by piece."""
        raise ValueError(f"{self.name}: expected a lesson whose model answers a prompt")

    def examples(self, vocabulary: Mapping[str, Any]) -> Iterable[str]:
        """Prompts for samples after training."""
        return ()


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


def train(task: Task, recipe: Any, data: Any, model: nn.Module) -> Iterator[Step]:
    """Train the model in place and report every optimizer step.

    The hidden state is carried from batch to batch, but gradients are not: backpropagation through
    time is truncated at every batch.
    """
    batches = task.batches(recipe, data)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, partial(learning_rate_factor, recipe))
    device = next(model.parameters()).device.type
    hidden = None
    for step in range(recipe.steps):
        model.train()
        optimizer.zero_grad()
        total = 0.0
        for number in range(step * recipe.accumulate, (step + 1) * recipe.accumulate):
            batch = tensors(batches(number, slice(None)), model)
            with torch.autocast(device, torch.bfloat16, enabled=recipe.dtype == "bfloat16"):
                loss, hidden = task.loss(model, batch, hidden)
            hidden = detached(hidden)
            loss = loss / recipe.accumulate
            loss.backward()
            total += loss.item()
        if recipe.clip is not None:
            clip_gradient(model.parameters(), recipe.clip)
        optimizer.step()
        schedule.step()
        yield Step(step + 1, total)


def learning_rate_factor(recipe: Any, step: int) -> float:
    """Factor in [0, 1] of the learning rate at a step, counted from 0."""
    if step < recipe.warmup:
        return step / recipe.warmup
    rest = max(recipe.steps - recipe.warmup, 1)
    gone = min((step - recipe.warmup) / rest, 1.0)
    if recipe.schedule == "constant":
        return 1.0
    return 1.0 - gone if recipe.schedule == "linear" else (1.0 + math.cos(math.pi * gone)) / 2


def detached(hidden: Hidden | None) -> Hidden | None:
    """The state without its gradient history."""
    if hidden is None or isinstance(hidden, torch.Tensor):
        return None if hidden is None else hidden.detach()
    return tuple(state.detach() for state in hidden)


@torch.no_grad()
def clip_gradient(parameters: Iterable[nn.Parameter], largest: float) -> None:
    """Scale the gradient to this global norm if its norm is larger.

    `torch.nn.utils.clip_grad_norm_` adds 1e-6 to the norm before the division; this function does
    not.
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    if norm >= largest:
        for gradient in gradients:
            gradient.mul_(largest / norm)
