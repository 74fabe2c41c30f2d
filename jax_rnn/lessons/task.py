"""A lesson on real data: read it, build a model, train it in batches, evaluate held-out data."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from flax import nnx

from jax_rnn.initializers import Init
from jax_rnn.lessons.recipe import Recipe
from jax_rnn.train.batches import Batches

__all__ = ["Sampling", "Task"]

DataT = TypeVar("DataT")


@dataclass(frozen=True)
class Sampling:
    """How to draw from a model's predictions.

    Attributes:
        temperature: number that logits are divided by; 0 always takes the likeliest symbol.
        top_k: number of the likeliest symbols to draw from; None draws from all.
        length: largest number of symbols.
        seed: int, seed of the drawing.
    """

    temperature: float = 1.0
    top_k: int | None = None
    length: int = 500
    seed: int = 0


class Task(ABC, Generic[DataT]):
    """One program of the lecture that learns from a data set.

    A subclass sets the class attributes and implements the methods; one instance of it, called
    ``lesson``, is at the end of its file. ``reference_torch`` has the same file in PyTorch.

    Attributes:
        name: name of the file, here and in ``reference_torch``.
        slide: number of the slide in the lecture.
        teaches: one sentence on what the lesson shows.
        recipe: default hyperparameters.
        recipes: other sets of hyperparameters, by name.
        model: class of the model; built as ``model(**options, init=init, rngs=rngs)``.
        takes_text: whether the user may train it on a text of their own.
    """

    name: ClassVar[str]
    slide: ClassVar[str]
    teaches: ClassVar[str]
    recipe: ClassVar[Recipe]
    recipes: ClassVar[Mapping[str, Recipe]] = {}
    model: ClassVar[Any]
    takes_text: ClassVar[bool] = False

    @abstractmethod
    def read(self, recipe: Recipe, text: Path | None = None) -> DataT:
        """The data, split into a part to train on and a part held out.

        The same for every seed. Its attribute ``vocabulary`` is a dict that JSON can hold, with
        everything that a trained model needs to know of the data.
        """

    @abstractmethod
    def options(self, recipe: Recipe, vocabulary: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of ``model``, a dict that JSON can hold."""

    @abstractmethod
    def batches(self, recipe: Recipe, data: DataT) -> Batches:
        """The batches to train on."""

    @abstractmethod
    def loss(self, model: Any, batch: Any, **more: Any) -> Any:
        """As ``jax_rnn.train.fit`` calls it: ``(loss, metrics)``, or with a carry
        ``(loss, metrics, carry)``; ``rngs=`` is given where the recipe has dropout."""

    def carry(self, model: Any, batch_size: int) -> Any:
        """State that goes from each batch to the next; None if every batch starts from zeros."""
        return None

    @abstractmethod
    def evaluate(self, model: Any, data: DataT) -> dict[str, float]:
        """Figures on the held-out data, a dict of floats with ``"loss"``; smaller is better."""

    def respond(
        self, model: Any, vocabulary: Mapping[str, Any], prompt: str, sampling: Sampling
    ) -> Iterator[str]:
        """The answer of the model to a prompt, piece by piece.

        Raises:
            ValueError: a symbol in the prompt that is not in the vocabulary.
        """
        raise ValueError(
            f"{self.name}: expected a lesson whose model answers a prompt, got one without; use "
            "`jax-rnn eval`"
        )

    def report(self, model: Any, data: DataT, folder: Path) -> Iterator[str]:
        """Lines that summarize a trained model; may write plots and tables into ``folder``."""
        yield from ()

    def build(
        self,
        recipe: Recipe,
        vocabulary: Mapping[str, Any],
        *,
        init: Init = "torch",
        rngs: nnx.Rngs,
    ) -> Any:
        """A fresh model."""
        return self.model(**self.options(recipe, vocabulary), init=init, rngs=rngs)
