"""The training loop of the lecture, the same for every lesson."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from reference_torch.lesson import Lesson


class Tensors(NamedTuple):
    inputs: torch.Tensor
    labels: torch.Tensor | None
    hidden: tuple[torch.Tensor, ...] | None


class Epoch(NamedTuple):
    """Loss and prediction, ids (B, T), are those from before the epoch's optimizer step."""

    epoch: int
    loss: float
    prediction: np.ndarray


def tensors(lesson: Lesson, model: nn.Module) -> Tensors:
    """The lesson's arrays, with the device and dtype of the model's parameters.

    Ids remain integers.
    """
    weight = next(model.parameters())
    inputs = torch.tensor(lesson.inputs)
    inputs = inputs.to(weight) if inputs.is_floating_point() else inputs.to(weight.device)
    labels = None if lesson.labels is None else torch.tensor(lesson.labels).to(weight.device)
    hidden = None
    if lesson.hidden is not None:
        hidden = tuple(torch.tensor(state).to(weight) for state in lesson.hidden)
    return Tensors(inputs, labels, hidden)


def loss_of(logits: torch.Tensor, labels: torch.Tensor, reduction: str = "mean") -> torch.Tensor:
    """Cross entropy of logits (B, T, classes) and labels (B, T), over all B * T positions."""
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten().long(), reduction=reduction)


def train(lesson: Lesson, model: nn.Module) -> Iterator[Epoch]:
    """Train the model in place and report every epoch, counted from 1."""
    inputs, labels, hidden = tensors(lesson, model)
    if labels is None:
        return
    optimizer = torch.optim.Adam(model.parameters(), lr=lesson.learning_rate)
    for epoch in range(1, lesson.epochs + 1):
        logits, _ = model(inputs, hidden)
        loss = loss_of(logits, labels, lesson.reduction)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        prediction = logits.argmax(dim=-1).cpu().numpy().astype(np.int32)
        yield Epoch(epoch, loss.item(), prediction)


def final_text(lesson: Lesson, build: Callable[[], nn.Module], seed: int) -> str:
    """The string predicted at the last epoch, for a model initialized from this seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build()
    *_, last = train(lesson, model)
    return lesson.text(last.prediction)


def successes(lesson: Lesson, build: Callable[[], nn.Module], seeds: Iterable[int]) -> int:
    """The number of seeds that end at the lesson's target."""
    return sum(final_text(lesson, build, seed) == lesson.target for seed in seeds)


@torch.no_grad()
def score(lesson: Lesson, model: nn.Module) -> tuple[float, float]:
    """Mean loss and accuracy of the model over all B * T positions."""
    inputs, labels, hidden = tensors(lesson, model)
    if labels is None:
        raise ValueError(f"lesson {lesson.name!r} has no labels: it cannot be scored")
    logits, _ = model(inputs, hidden)
    accuracy = (logits.argmax(dim=-1) == labels).float().mean()
    return loss_of(logits, labels).item(), accuracy.item()
