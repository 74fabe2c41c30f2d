"""The interface of a framework to a comparison: NumPy arrays in, NumPy arrays out."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple

import numpy as np

__all__ = ["Pass", "Side"]


class Pass(NamedTuple):
    """The results of a model and their gradients.

    Attributes:
        results: the output, then the arrays of the carry.
        by_input: gradients with respect to the floating arguments, in order.
        by_weight: gradients with respect to the parameters, by torch's names.
    """

    results: list[np.ndarray]
    by_input: list[np.ndarray]
    by_weight: dict[str, np.ndarray]


class Side(ABC):
    """A model in one framework, with the arguments that it is called with.

    Parameters have torch's names and shapes. Gradients are those of the scalar
    ``sum_k (cotangents[k] * results[k]).sum()``.

    Attributes:
        framework: name of the framework, ``"jax"`` or ``"torch"`` for ours.
        title: its name in messages.
        time_axis: axis of the output that is time, for messages.
    """

    framework: ClassVar[str]
    title: ClassVar[str]
    time_axis: int = 1

    @abstractmethod
    def weights(self) -> dict[str, np.ndarray]:
        """The parameters, as copies."""

    @abstractmethod
    def load(self, weights: Mapping[str, np.ndarray]) -> None:
        """Replace all parameters."""

    @abstractmethod
    def shapes(self) -> list[tuple[int, ...]]:
        """Shapes of the results."""

    @abstractmethod
    def run(self, cotangents: Sequence[np.ndarray]) -> Pass:
        """The results and their gradients; no gradients if the shapes of cotangents differ."""

    @abstractmethod
    def adam(self, cotangents: Sequence[np.ndarray], steps: int) -> dict[str, np.ndarray]:
        """The parameters after steps of Adam, learning rate 0.01, on the scalar; those of the
        model do not change."""
