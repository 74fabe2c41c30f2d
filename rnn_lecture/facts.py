"""What is the same in JAX and in PyTorch: the facts of a lesson, and the parts of its program."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from jax_rnn.base.errors import ArgumentError
from jax_rnn.data.dataset import Data
from jax_rnn.data.shuffled import Shuffled
from rnn_lecture.recipe import BaseRecipe

__all__ = ["Facts", "Program", "Words", "encode", "one_hot"]


class Facts(ABC):
    """Name and data of a lesson.

    Attributes:
        name: name of the lesson and of its file.
        slide: title or number of the slide in the lecture.
        teaches: one sentence on what the lesson shows.
        takes_text: whether users may train it on a text of their own.
        trained: whether it trains; otherwise it only shows shapes.
        holds_out: whether part of the data is held out, to evaluate the model.
        target: the string that a perfect model predicts; None if there is none.
    """

    name: str
    slide: str
    teaches: str
    takes_text: ClassVar[bool] = False
    trained: bool = True
    holds_out: ClassVar[bool] = True
    target: str | None = None

    @abstractmethod
    def read(self, text: Path | None = None) -> Data:
        """The data, the same for every seed; of a text of the user, if the lesson takes one."""

    def batches(self, recipe: Any, data: Data) -> Any:
        """The batches to train on: by number, as ``Shuffled`` gives them, or one dict of arrays."""
        return Shuffled(data.train, recipe.batch_size, recipe.seed)

    def batch_size(self, recipe: Any) -> int:
        """Number of sequences in a batch."""
        return recipe.batch_size

    def sizes(self, vocabulary: Mapping[str, Any]) -> dict[str, int]:
        """The arguments of the model that depend on the data."""
        return {}


@dataclass(frozen=True, eq=False)
class Words(Facts):
    """A word or a sentence: one batch is all of its data.

    Attributes:
        symbols: character of every index.
        inputs: one-hot float32 (B, T, I), or int32 ids (B, T) for a model with an embedding.
        labels: int32 ids (B, T); None if the lesson does not train.
        hidden: the initial state; None means zeros.
        reading: predicted ids (B, T) -> the ids (N,) that ``text`` converts to a string.
    """

    holds_out: ClassVar[bool] = False

    name: str
    slide: str
    teaches: str
    symbols: str
    inputs: np.ndarray
    labels: np.ndarray | None = None
    hidden: tuple[np.ndarray, ...] | None = None
    reading: Callable[[np.ndarray], np.ndarray] = lambda ids: ids[0]

    @property
    def trained(self) -> bool:
        return self.labels is not None

    def read(self, text: Path | None = None) -> Data:
        """``{"inputs": ..., "labels": ...}``, to train on and to evaluate.

        Raises:
            ValueError: the lesson does not train.
        """
        if self.labels is None:
            raise ValueError(
                f"lesson: expected one that trains, got {self.name}, which only shows shapes"
            )
        arrays = {"inputs": self.inputs, "labels": self.labels}
        return Data(arrays, arrays, {"symbols": self.symbols})

    def batches(self, recipe: Any, data: Data) -> dict[str, np.ndarray]:
        return data.train

    def batch_size(self, recipe: Any) -> int:
        return len(self.inputs)

    @property
    def target(self) -> str | None:
        return None if self.labels is None else self.text(self.labels)

    def text(self, ids: np.ndarray) -> str:
        """The string of predicted ids (B, T)."""
        return "".join(self.symbols[i] for i in self.reading(np.asarray(ids)))


def encode(words: Sequence[str], symbols: str) -> np.ndarray:
    """Indices in ``symbols`` of the letters of words of one length, int32 (B, T).

    Raises:
        ValueError: words of several lengths, or a letter that is not a symbol.
    """
    lengths = sorted({len(word) for word in words})
    if len(lengths) != 1:
        raise ValueError(f"words: expected the same length, got lengths {lengths}; pad or cut them")
    unknown = sorted(set("".join(words)) - set(symbols))
    if unknown:
        got = ", ".join(map(repr, unknown))
        raise ValueError(f"words: expected only letters among {symbols!r}, got {got}")
    return np.array([[symbols.index(letter) for letter in word] for word in words], np.int32)


def one_hot(ids: np.ndarray, size: int) -> np.ndarray:
    """Rows of the identity, float32 (*ids.shape, size)."""
    return np.eye(size, dtype=np.float32)[ids]


@dataclass(frozen=True, eq=False, kw_only=True)
class Program:
    """A lesson in one framework.

    Attributes:
        facts: name and data, the same object in both frameworks.
        model: builds the model from ``options``.
        loss: the loss of the model on a batch; None if the lesson does not train.
        recipe: the hyperparameters.
        presets: other hyperparameters, by name.
        variants: other models for the same task, by name; each is also a preset.
    """

    facts: Any
    model: Callable[..., Any]
    loss: Any = None
    recipe: Any
    presets: Mapping[str, Any] = field(default_factory=dict)
    variants: Mapping[str, Callable[..., Any]] = field(default_factory=dict)

    name = property(lambda self: self.facts.name)
    slide = property(lambda self: self.facts.slide)
    teaches = property(lambda self: self.facts.teaches)
    takes_text = property(lambda self: self.facts.takes_text)
    trained = property(lambda self: self.facts.trained)
    holds_out = property(lambda self: self.facts.holds_out)

    @property
    def recipes(self) -> dict[str, Any]:
        """All presets but the default."""
        variants = {name: replace(self.recipe, variant=name) for name in self.variants}
        return {**self.presets, **variants}

    def preset(self, name: str | None = None) -> Any:
        """The hyperparameters of this name; None is the lesson's own.

        Raises:
            ValueError: an unknown name.
        """
        known = {"default": self.recipe, **self.recipes}
        if name is not None and name not in known:
            raise ArgumentError("preset", f"expected one of {', '.join(known)}, got {name!r}")
        return known[name or "default"]

    def builder(self, recipe: BaseRecipe) -> Callable[..., Any]:
        """What builds the model of a recipe. ValueError: an unknown variant."""
        if recipe.variant and recipe.variant not in self.variants:
            known = f"one of {', '.join(self.variants)}" if self.variants else "none"
            raise ArgumentError(
                "variant", f"expected {known} for {self.name}, got {recipe.variant!r}"
            )
        return self.variants[recipe.variant] if recipe.variant else self.model

    def options(self, recipe: BaseRecipe, vocabulary: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of the model: the sizes of the recipe and those of the data."""
        return recipe.sizes() | self.facts.sizes(vocabulary)

    def read(self, recipe: Any, text: Path | None = None) -> Data:
        """The data, see ``Facts.read``."""
        return self.facts.read(text)

    def batches(self, recipe: Any, data: Data) -> Any:
        """The batches to train on, see ``Facts.batches``."""
        return self.facts.batches(recipe, data)

    def batch_size(self, recipe: Any) -> int:
        """Number of sequences in a batch."""
        return self.facts.batch_size(recipe)

    def check_text(self, text: Path | None) -> None:
        """Check a text of the user. ValueError: the lesson has its own data."""
        if text is not None and not self.takes_text:
            own = f"{self.name} has its own data"
            raise ArgumentError("text", f"expected none, since {own}, got {text}; remove it")
