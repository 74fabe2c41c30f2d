"""A lesson in one framework, as a side of a comparison."""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from inspect import Parameter, signature
from typing import Any, NamedTuple, Protocol

import numpy as np

from jax_rnn.data.dataset import Data
from jax_rnn.testing.side import Side
from rnn_lecture.facts import Words

__all__ = [
    "LADDER_ROWS",
    "LessonSide",
    "MakeSide",
    "Setup",
    "Step",
    "first_batch",
    "lesson_arguments",
]

LADDER_ROWS = 4
"""Number of rows of the first batch that the parity ladder uses, in a lesson on a data set."""


class Step(NamedTuple):
    """An optimizer step.

    Attributes:
        loss: the loss before the step.
        prediction: the predicted string before the step; None in a lesson on a data set.
    """

    loss: float
    prediction: str | None = None


class Setup(NamedTuple):
    """What both sides of a comparison are made from.

    Attributes:
        name: name of the lesson.
        recipe: its hyperparameters, without dropout.
        data: its data.
        seed: seed of the initial weights.
    """

    name: str
    recipe: Any
    data: Data
    seed: int


class LessonSide(Side):
    """A model of a lesson, with its training.

    Attributes:
        arguments: what the parity ladder calls the model with.
        seconds: the time of each part of ``train``, once it has ended.
    """

    arguments: tuple[Any, ...]
    seconds: dict[str, float]

    @abstractmethod
    def loss_gradients(self) -> dict[str, np.ndarray]:
        """The gradients of the lesson's loss on the first batch, by torch's names."""

    @abstractmethod
    def train(self, steps: int) -> Iterator[Step]:
        """Train the model by the recipe."""

    @abstractmethod
    def evaluate(self) -> dict[str, float]:
        """Figures of the model on the held-out data."""


class MakeSide(Protocol):
    """A class of sides."""

    def __call__(self, setup: Setup) -> LessonSide: ...


def lesson_arguments(lesson: Any, setup: Setup, forward: Callable[..., Any]) -> tuple[Any, ...]:
    """The arguments of the parity ladder: of a lesson on words its inputs and its initial state,
    of others some rows of the first batch, by the names of the arguments of ``forward``."""
    if isinstance(lesson.facts, Words):
        return lesson.facts.inputs, lesson.facts.hidden
    batch = first_batch(lesson, setup, LADDER_ROWS)
    needed = signature(forward).parameters.values()
    return tuple(batch[p.name] for p in needed if p.default is Parameter.empty)


def first_batch(lesson: Any, setup: Setup, rows: int | None = None) -> Mapping[str, Any]:
    """The first rows of the first batch."""
    batches: Any = lesson.batches(setup.recipe, setup.data)
    return batches if isinstance(batches, Mapping) else batches(0, slice(rows))
