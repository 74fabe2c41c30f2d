"""The training loop, the same for every lesson."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from typing import Any

import torch
from torch import nn

from jax_rnn.data.dataset import Data
from reference_torch.teaching.lesson import Batch, Hidden, Lesson, Step, tensors


def train(
    lesson: Lesson, model: nn.Module, recipe: Any = None, data: Data | None = None
) -> Iterator[Step]:
    """Train the model in place and report every optimizer step.

    The hidden state is carried from batch to batch, but gradients are not: backpropagation through
    time is truncated at every batch.
    """
    recipe = recipe or lesson.recipe
    data = lesson.read(recipe) if data is None else data
    batch = batches_of(lesson.batches(recipe, data), model)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    device = next(model.parameters()).device.type
    carried: list[Hidden | None] = [None] if lesson.carries else []
    metrics: Batch = {}
    for step in range(recipe.steps):
        model.train()
        optimizer.param_groups[0]["lr"] = recipe.learning_rate * learning_rate_factor(recipe, step)
        optimizer.zero_grad()
        total = 0.0
        for number in range(step * recipe.accumulate, (step + 1) * recipe.accumulate):
            half = recipe.dtype == "bfloat16"
            with torch.autocast(device, torch.bfloat16) if half else nullcontext():
                loss, metrics, *carried = lesson.loss(model, batch(number), *carried)
            carried = [detached(hidden) for hidden in carried]
            loss = loss / recipe.accumulate
            loss.backward()
            total += loss.item()
        if recipe.clip is not None:
            clip_gradient(model.parameters(), recipe.clip)
        optimizer.step()
        yield Step(step + 1, total, {name: value.cpu().numpy() for name, value in metrics.items()})


def batches_of(batches: Any, model: nn.Module) -> Callable[[int], Batch]:
    """The batches by number, on the model's device."""
    if isinstance(batches, Mapping):
        same = tensors(batches, model)
        return lambda number: same
    return lambda number: tensors(batches(number, slice(None)), model)


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
