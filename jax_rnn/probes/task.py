"""The contract of a task."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple

from jax_rnn.base.typing import Array

__all__ = ["Example", "Task"]


class Example(NamedTuple):
    """A batch of sequences."""

    x: Array
    """Inputs: symbols, ints (B, T), or numbers (B, T, F)."""
    y: Array
    """Targets: symbols, ints (B, T), or numbers (B, T)."""
    weight: Array
    """Weights of the positions in the loss, (B, T)."""
    scored: Array
    """Weights of the positions in the score, (B, T)."""


class Task(ABC):
    """Sequences drawn at random, and how a model is scored on them.

    A subclass sets its attributes and implements ``sample``; one file is one task::

        class Copy(Task):
            title = "copy the first symbol"
            inputs = outputs = 4

            def sample(self, key, batch, length):
                x = jax.random.randint(key, (batch, length), 0, 4)
                y = jnp.broadcast_to(x[:, :1], x.shape)
                ones = jnp.ones(x.shape)
                return Example(x, y, ones, ones)

    Attributes:
        title: str, what the task is, in a few words.
        inputs: int, number of input symbols, or of features with ``numbers``.
        outputs: int, number of output symbols; 1 if the output is a number.
        numbers: bool, whether inputs and outputs are numbers; False by default. The score is the
            mean squared error then, and otherwise the share of right symbols.
        length: int, length of the sequences in training; 64 by default.
        lengths: tuple of ints, at which a trained model is scored; ``(length,)`` by default.
        baseline: float, score of a model that remembers nothing; None if it is not known.
        source: str, the paper that describes it.
    """

    title: ClassVar[str]
    inputs: int
    outputs: int
    numbers: bool = False
    length: int = 64
    baseline: float | None = None
    source: str = ""

    @property
    def lengths(self) -> tuple[int, ...]:
        return (self.length,)

    @abstractmethod
    def sample(self, key: Any, batch: int, length: int) -> Example:
        """``batch`` sequences of ``length`` steps; a function of ``key`` that JAX can compile."""

    def sample_held_out(self, key: Any, batch: int, length: int) -> Example:
        """Sequences for the score; by default ``sample`` with another key."""
        return self.sample(key, batch, length)
