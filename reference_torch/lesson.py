"""The definition of a lesson: data, a model, hyperparameters, and how to print the result.

Axes: B (batch), T (time), I (input size), H (hidden size).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from torch import nn


def encode(words: Sequence[str], symbols: str) -> np.ndarray:
    """Words of one length -> ids (B, T), the index of each letter in the symbols."""
    lengths = sorted({len(word) for word in words})
    if len(lengths) != 1:
        raise ValueError(f"expected words of one length, got lengths {lengths}; pad or cut them")
    unknown = sorted(set("".join(words)) - set(symbols))
    if unknown:
        raise ValueError(f"expected only letters of {symbols!r}, got {unknown}")
    return np.array([[symbols.index(letter) for letter in word] for word in words], np.int32)


def one_hot(ids: np.ndarray, size: int) -> np.ndarray:
    """Ids (B, T) -> float32 (B, T, size), one-hot."""
    return np.eye(size, dtype=np.float32)[ids]


def first_row(ids: np.ndarray) -> np.ndarray:
    return ids[0]


def no_explanation(model: nn.Module) -> Iterable[str]:
    return ()


@dataclass(frozen=True, eq=False)
class Lesson:
    """One program of the lecture.

    A model is called as `model(inputs, hidden=None)` and returns `(logits, hidden)`, logits
    being (B, T, classes).
    """

    name: str
    slide: str
    teaches: str
    symbols: str
    """Index -> character."""
    inputs: np.ndarray
    """One-hot float32 (B, T, I), or ids int32 (B, T) if the model starts with an embedding."""
    labels: np.ndarray | None
    """Ids int32 (B, T); None if the lesson does not train."""
    model: Callable[[], nn.Module]
    """Builds the model with torch's own initial weights, drawn from torch's global seed."""
    hidden: tuple[np.ndarray, ...] | None = None
    """A given initial state; None means zeros."""
    learning_rate: float = 0.1
    epochs: int = 100
    reduction: Literal["mean", "sum"] = "mean"
    """Reduction of the cross entropy over all B * T positions."""
    variants: Mapping[str, Callable[[], nn.Module]] = field(default_factory=dict)
    """Other models for the same data and hyperparameters."""
    reading: Callable[[np.ndarray], np.ndarray] = first_row
    """Ids (B, T) -> the ids (N,) that `text` converts to a string."""
    explain: Callable[[nn.Module], Iterable[str]] = no_explanation
    """Lines to print after training: the answer to the slide's question."""

    def text(self, ids: np.ndarray) -> str:
        """Predicted ids (B, T) -> the predicted string."""
        return "".join(self.symbols[i] for i in self.reading(np.asarray(ids)))

    @property
    def target(self) -> str:
        """The string that a perfect model predicts."""
        if self.labels is None:
            raise ValueError(f"lesson {self.name!r} has no labels: it does not train")
        return self.text(self.labels)
