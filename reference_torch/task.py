"""The definition of a lesson on real data, and the shared training loop.

A task reads its data, builds a model, makes a batch for every step and computes the loss.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import nn

from reference_torch.recipe import Recipe

Batch = dict[str, torch.Tensor]
Hidden = torch.Tensor | tuple[torch.Tensor, ...]


class Step(NamedTuple):
    """An optimizer step, counted from 1, and the loss before it."""

    step: int
    loss: float


class Task(ABC):
    """One program of the lecture that learns from a data set.

    A subclass sets the class attributes and implements the methods; one instance of it, called
    `lesson`, is at the end of its file.
    """

    name: ClassVar[str]
    slide: ClassVar[str]
    teaches: ClassVar[str]
    recipe: ClassVar[Recipe]
    recipes: ClassVar[Mapping[str, Recipe]] = {}
    takes_text: ClassVar[bool] = False

    @abstractmethod
    def read(self, recipe: Recipe, text: Path | None = None) -> Any:
        """Training and held-out data; its `vocabulary` is what a trained model needs."""

    @abstractmethod
    def build(self, recipe: Recipe, vocabulary: Mapping[str, Any]) -> nn.Module:
        """A new model, its weights drawn from torch's global seed."""

    @abstractmethod
    def batch(self, recipe: Recipe, data: Any, step: int) -> dict[str, np.ndarray]:
        """Batch number `step`, counted from 0; it depends only on the step."""

    @abstractmethod
    def loss(
        self, model: Any, batch: Batch, hidden: Hidden | None = None
    ) -> tuple[torch.Tensor, Hidden | None]:
        """The loss and the next state; None if every batch starts from zeros."""

    @abstractmethod
    def evaluate(self, model: Any, data: Any) -> dict[str, float]:
        """Metrics on the held-out data, including `loss`. The caller has called `eval()`."""

    def respond(
        self,
        model: Any,
        vocabulary: Mapping[str, Any],
        prompt: str,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        length: int = 500,
        seed: int = 0,
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


def train(task: Task, recipe: Recipe, data: Any, model: nn.Module) -> Iterator[Step]:
    """Train the model in place and report every optimizer step.

    The hidden state is carried from batch to batch, but gradients are not: backpropagation through
    time is truncated at every batch.
    """
    optimizer = recipe.optimizer(model.parameters())
    schedule = recipe.schedule_of(optimizer)
    device = next(model.parameters()).device.type
    hidden = None
    for step in range(recipe.steps):
        model.train()
        optimizer.zero_grad()
        total = 0.0
        for number in range(step * recipe.accumulate, (step + 1) * recipe.accumulate):
            batch = tensors(task.batch(recipe, data, number), model)
            with torch.autocast(device, torch.bfloat16, enabled=recipe.precision == "bfloat16"):
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
