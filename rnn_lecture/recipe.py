"""Hyperparameters of lessons; a run folder keeps all of them."""

import math
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, ClassVar, Literal, TypeVar, get_args

from jax_rnn.base.errors import ArgumentError, ArgumentTypeError

__all__ = ["BaseRecipe", "Recipe", "WordRecipe", "with_steps"]

Cell = Literal["rnn", "lstm", "gru"]
Schedule = Literal["constant", "linear", "cosine"]
DType = Literal["float32", "float64", "bfloat16"]

SIZES = (
    "embedding_size",
    "hidden_size",
    "num_layers",
    "batch_size",
    "window",
    "accumulate",
    "evaluate_every",
)
LARGEST_COUNT = 2**31 - 1
"""Optimizers count steps in int32, and no array has a larger axis in practice."""
LARGEST_DEPTH = 1000


@dataclass(frozen=True)
class BaseRecipe:
    """Hyperparameters of the training of any lesson.

    Attributes:
        steps: number of optimizer steps.
        learning_rate: peak learning rate of Adam; above 0.
        warmup: number of steps in which the learning rate rises from 0 to its peak, at most
            ``steps``.
        schedule: learning rate after warmup: constant, or decreasing to 0 linearly or as a cosine.
        weight_decay: weight decay of AdamW, at least 0.
        clip: maximum global norm of the gradient, above 0; None disables clipping.
        dtype: data type of parameters and computation; with bfloat16 the parameters are kept in
            float32.
        seed: seed of initial weights, dropout and the order of the data; from 0 to 2^32 - 1.

    Raises:
        ArgumentTypeError, ArgumentError: a value of a wrong type, or outside its range.
    """

    steps: int = 1000
    learning_rate: float = 2e-3
    warmup: int = 0
    schedule: Schedule = "constant"
    weight_decay: float = 0.0
    clip: float | None = 1.0
    dtype: DType = "float32"
    seed: int = 0

    variant: ClassVar[str] = ""
    dropout: ClassVar[float] = 0.0
    accumulate: ClassVar[int] = 1
    evaluate_every: ClassVar[int | None] = None
    patience: ClassVar[int | None] = None

    def __post_init__(self) -> None:
        _check_choice("schedule", self.schedule, Schedule)
        _check_choice("dtype", self.dtype, DType)
        _check_count("steps", self.steps)
        _check_number("learning_rate", self.learning_rate, above=True)
        _check_number("weight_decay", self.weight_decay)
        if self.clip is not None:
            _check_number("clip", self.clip, above=True)
        for name, most, what, remedy in (
            ("warmup", self.steps, ", the number of steps", "; change steps or warmup"),
            ("seed", 2**32 - 1, "", ""),
        ):
            value = getattr(self, name)
            _check_int(name, value)
            if not 0 <= value <= most:
                raise ArgumentError(
                    name, f"expected 0 to {most}{what}, got {_short(value)}{remedy}"
                )

    def sizes(self) -> dict[str, Any]:
        """The arguments of the model that the recipe sets."""
        return {}


RecipeT = TypeVar("RecipeT", bound=BaseRecipe)


@dataclass(frozen=True)
class WordRecipe(BaseRecipe):
    """Hyperparameters of a lesson on a word or a sentence, whose batch is all of its data.

    Attributes:
        variant: name of another model for the same task; empty for the lesson's own.
    """

    steps: int = 100
    learning_rate: float = 0.1
    clip: float | None = None
    seed: int = 2
    variant: str = ""  # pyright: ignore[reportIncompatibleVariableOverride]


@dataclass(frozen=True)
class Recipe(BaseRecipe):
    """Hyperparameters of a lesson on a data set.

    Attributes:
        cell: cell of the recurrent layers.
        embedding_size: number of features of a symbol.
        hidden_size: number of features of the hidden state of every layer.
        num_layers: number of recurrent layers, at most 1,000.
        dropout: dropout rate between layers and before the last linear map, from 0 to 1.
        batch_size: number of sequences in a batch, over all devices.
        window: number of time steps through which gradients are propagated in lessons on a text.
        accumulate: number of batches per optimizer step, whose gradients are averaged.
        evaluate_every: number of steps between two evaluations on the held-out data.
        patience: number of evaluations without a lower held-out loss after which training stops;
            None never stops it.
    """

    cell: Cell = "gru"
    embedding_size: int = 64
    hidden_size: int = 128
    num_layers: int = 1
    dropout: float = 0.0  # pyright: ignore[reportIncompatibleVariableOverride]
    batch_size: int = 64
    window: int = 64
    accumulate: int = 1  # pyright: ignore[reportIncompatibleVariableOverride]
    evaluate_every: int = 100  # pyright: ignore[reportIncompatibleVariableOverride]
    patience: int | None = None  # pyright: ignore[reportIncompatibleVariableOverride]

    def __post_init__(self) -> None:
        _check_choice("cell", self.cell, Cell)
        for name in SIZES:
            largest = LARGEST_DEPTH if name == "num_layers" else LARGEST_COUNT
            _check_count(name, getattr(self, name), largest)
        if self.patience is not None:
            _check_count("patience", self.patience)
        _check_number("dropout", self.dropout, most=1)
        super().__post_init__()

    def sizes(self) -> dict[str, Any]:
        names = ("cell", "embedding_size", "hidden_size", "num_layers", "dropout")
        return {name: getattr(self, name) for name in names}


def with_steps(recipe: RecipeT, steps: int | None) -> RecipeT:
    """The recipe with this number of steps, and no longer warm-up than that; None changes nothing.

    Raises:
        ArgumentError: fewer than one step.
    """
    if steps is None:
        return recipe
    return replace(recipe, steps=steps, warmup=min(recipe.warmup, max(steps, 0)))


def _check_choice(name: str, value: Any, choices: Any) -> None:
    if value not in get_args(choices):
        known = ", ".join(get_args(choices))
        raise ArgumentError(name, f"expected one of {known}, got {value!r}")


def _check_count(name: str, value: Any, most: int = LARGEST_COUNT) -> None:
    _check_int(name, value)
    if value < 1:
        raise ArgumentError(name, f"expected at least 1, got {value}")
    if value > most:
        raise ArgumentError(name, f"expected at most {most:,}, got {_short(value)}")


def _check_int(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ArgumentTypeError(name, f"expected an int, got {value!r}")


def _check_number(name: str, value: Any, *, above: bool = False, most: float = math.inf) -> None:
    """ArgumentTypeError, ArgumentError: no finite number from 0, or above 0, to ``most``."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ArgumentTypeError(name, f"expected a number, got {value!r}")
    number = float(value)
    if not math.isfinite(number) or not 0 <= number <= most or (above and number == 0):
        least = "above 0" if above else "of at least 0"
        wanted = least if most == math.inf else f"from 0 to {most:g}"
        raise ArgumentError(name, f"expected a number {wanted}, got {value}")


def _short(value: int) -> str:
    return f"{value:,}" if abs(value) < 10**15 else "a larger number"
