"""A lesson on a word or a sentence: its facts, and the models of one framework."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np

from jax_rnn.data.dataset import Data
from rnn_lecture.facts import Facts
from rnn_lecture.recipe import WordRecipe

__all__ = ["WordProgram", "Words", "encode", "one_hot"]


def encode(words: Sequence[str], symbols: str) -> np.ndarray:
    """Indices in ``symbols`` of the letters of words of one length, int32 (B, T).

    Raises:
        ValueError: words of several lengths, or a letter that is not a symbol.
    """
    lengths = sorted({len(word) for word in words})
    if len(lengths) != 1:
        raise ValueError(f"expected words of one length, got lengths {lengths}; pad or cut them")
    unknown = sorted(set("".join(words)) - set(symbols))
    if unknown:
        raise ValueError(f"expected only letters of {symbols!r}, got {unknown}")
    return np.array([[symbols.index(letter) for letter in word] for word in words], np.int32)


def one_hot(ids: np.ndarray, size: int) -> np.ndarray:
    """Rows of the identity, float32 (*ids.shape, size)."""
    return np.eye(size, dtype=np.float32)[ids]


def first_row(ids: np.ndarray) -> np.ndarray:
    return ids[0]


@dataclass(frozen=True, eq=False)
class Words(Facts):
    """The facts of one lesson; a program adds the model, see ``of``.

    Attributes:
        name: name of the lesson and of its file.
        slide: title of the slide in the lecture.
        teaches: one sentence on what the lesson shows.
        symbols: character of every index.
        inputs: one-hot float32 (B, T, I), or int32 ids (B, T) for a model with an embedding.
        labels: int32 ids (B, T); None if the lesson does not train.
        hidden: the initial state; None means zeros.
        learning_rate: learning rate of Adam.
        epochs: optimizer steps on the whole batch.
        reduction: reduction of the cross entropy over all B*T positions.
        reading: predicted ids (B, T) -> the ids (N,) that ``text`` converts to a string.
    """

    holds_out: ClassVar[bool] = False

    name: str
    slide: str
    teaches: str
    symbols: str
    inputs: np.ndarray
    labels: np.ndarray | None
    _: KW_ONLY
    hidden: tuple[np.ndarray, ...] | None = None
    learning_rate: float = 0.1
    epochs: int = 100
    reduction: Literal["mean", "sum"] = "mean"
    reading: Callable[[np.ndarray], np.ndarray] = first_row

    @classmethod
    def of(cls, facts: "Words", **own: Any) -> Self:
        """A lesson with these facts and the arguments that a program adds."""
        return cls(**{field.name: getattr(facts, field.name) for field in fields(Words)}, **own)

    @property
    def trained(self) -> bool:
        return self.labels is not None

    @property
    def recipe(self) -> WordRecipe:
        return WordRecipe(steps=max(self.epochs, 1), learning_rate=self.learning_rate)

    def read(self, recipe: WordRecipe, text: Path | None = None) -> Data:
        return Data(self.arrays(), self.arrays(), {"symbols": self.symbols})

    def batches(self, recipe: WordRecipe, data: Data) -> dict[str, np.ndarray]:
        return data.train

    def batch_size(self, recipe: WordRecipe) -> int:
        return len(self.inputs)

    def arrays(self) -> dict[str, np.ndarray]:
        """``{"inputs": ..., "labels": ...}``. ValueError: the lesson does not train."""
        if self.labels is None:
            raise ValueError(
                f"expected a lesson that trains, got {self.name}, which only shows shapes; "
                f"use `{self.name}.forward`"
            )
        return {"inputs": self.inputs, "labels": self.labels}

    @property
    def target(self) -> str | None:
        """The string that a perfect model predicts; None if the lesson does not train."""
        return None if self.labels is None else self.text(self.labels)

    def text(self, ids: np.ndarray) -> str:
        """The string of predicted ids (B, T)."""
        return "".join(self.symbols[i] for i in self.reading(np.asarray(ids)))


def no_explanation(model: Any) -> Iterable[str]:
    return ()


@dataclass(frozen=True, eq=False, kw_only=True)
class WordProgram(Words):
    """The facts of one lesson and the models of one framework.

    Attributes:
        model: builds the model of the lesson.
        variants: other models for the same task, by name; each is also a preset.
        explain: lines that answer the slide's question, from the trained model.
    """

    model: Callable[..., Any]
    variants: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    explain: Callable[[Any], Iterable[str]] = no_explanation

    @property
    def recipes(self) -> dict[str, WordRecipe]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return {name: replace(self.recipe, variant=name) for name in self.variants}

    def builder(self, recipe: WordRecipe) -> Callable[..., Any]:
        """What builds the model of a recipe. ValueError: an unknown variant."""
        if recipe.variant and recipe.variant not in self.variants:
            known = ", ".join(self.variants) or "none"
            raise ValueError(
                f"{self.name} has no variant {recipe.variant!r}; expected one of: {known}"
            )
        return self.variants[recipe.variant] if recipe.variant else self.model
