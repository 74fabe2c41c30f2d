"""A lesson on real data: read it, build a model, train it in batches, look at held-out data."""

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
        temperature: logits are divided by it; 0 always takes the likeliest symbol.
        top_k: draw among so many of the likeliest; None among all.
        length: symbols at most.
        seed: of the drawing.
    """

    temperature: float = 1.0
    top_k: int | None = None
    length: int = 500
    seed: int = 0


class Task(ABC, Generic[DataT]):
    """One program of the lecture that learns from a data set.

    A subclass states the class attributes and implements the methods; one instance of it, called
    ``lesson``, stands at the end of its file. ``reference_torch`` has the same file in PyTorch.

    Attributes:
        name: of the file, here and in ``reference_torch``.
        slide: where the lecture shows it.
        teaches: in one sentence.
        recipe: the hyperparameters that a plain run has.
        recipes: other sets of hyperparameters, by name.
        model: class of the model; built as ``model(**options, init=init, rngs=rngs)``.
        takes_text: whether the user may bring a text of his own.
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

        The same for every seed. It has an attribute ``vocabulary``: a dict that JSON can hold, all
        that a trained model needs to know of the data.
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
        """State that goes from each batch to the next; None where every batch starts anew."""
        return None

    @abstractmethod
    def evaluate(self, model: Any, data: DataT) -> dict[str, float]:
        """Figures on the held-out data; ``"loss"`` is among them, the less the better."""

    def respond(
        self, model: Any, vocabulary: Mapping[str, Any], prompt: str, sampling: Sampling
    ) -> Iterator[str]:
        """What the model makes of a prompt, piece by piece.

        Raises:
            ValueError: a symbol in the prompt that the model has never seen.
        """
        raise ValueError(f"{self.name} has nothing to say to a prompt")

    def report(self, model: Any, data: DataT, folder: Path) -> Iterator[str]:
        """Lines that sum up a trained model; may write pictures and tables into ``folder``."""
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
