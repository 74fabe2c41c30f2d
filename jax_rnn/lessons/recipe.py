"""Hyperparameters of a lesson on real data; a run folder records all of them."""

import math
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal, get_args

import jax.numpy as jnp
import optax

from jax_rnn.arguments import check_count, check_rate
from jax_rnn.typing import default_float

__all__ = ["Recipe"]


Cell = Literal["rnn", "lstm", "gru"]
Schedule = Literal["constant", "linear", "cosine"]
Precision = Literal["float32", "float64", "bfloat16"]

COUNTS = (
    "embedding_size",
    "hidden_size",
    "num_layers",
    "batch_size",
    "window",
    "steps",
    "accumulate",
    "evaluate_every",
)
MOST = 2**31 - 1
"""Largest count: optimizers count steps in int32, and no array has a larger axis in practice."""
MOST_LAYERS = 1000


@dataclass(frozen=True)
class Recipe:
    """Hyperparameters of a model and its training.

    Attributes:
        cell: cell of the recurrent layers.
        embedding_size: features of a symbol.
        hidden_size: H of every layer.
        num_layers: number of recurrent layers, at most 1,000.
        dropout: rate from 0 to 1 between layers and before the last linear map.
        batch_size: B, sequences in one forward pass, over all devices.
        window: T, steps of text between two truncations of backpropagation; unused by lessons on
            whole sequences.
        steps: optimizer steps.
        learning_rate: peak learning rate of Adam; above 0.
        warmup: steps over which the learning rate rises from 0 to its peak; at most ``steps``.
        schedule: learning rate after warm-up: constant, or falling to 0 linearly or as a cosine.
        weight_decay: weight decay of AdamW, at least 0.
        clip: maximum global norm of the gradient, above 0; None disables clipping.
        accumulate: number of batches whose mean gradient is used for one optimizer step.
        precision: data type of parameters and computation; with bfloat16 the parameters are kept
            in float32.
        seed: seed of initial weights, dropout and the order of the data; from 0 to 2^32 - 1.
        evaluate_every: steps between two evaluations on the held-out data.
        patience: evaluations without a better loss after which training stops; None never stops it.

    Raises:
        TypeError, ValueError: a value of a wrong type, or outside its range.
    """

    cell: Cell = "gru"
    embedding_size: int = 64
    hidden_size: int = 128
    num_layers: int = 1
    dropout: float = 0.0
    batch_size: int = 64
    window: int = 64
    steps: int = 1000
    learning_rate: float = 2e-3
    warmup: int = 0
    schedule: Schedule = "constant"
    weight_decay: float = 0.0
    clip: float | None = 1.0
    accumulate: int = 1
    precision: Precision = "float32"
    seed: int = 0
    evaluate_every: int = 100
    patience: int | None = None

    def __post_init__(self) -> None:
        for name, choices in (("cell", Cell), ("schedule", Schedule), ("precision", Precision)):
            value = getattr(self, name)
            if value not in get_args(choices):
                known = ", ".join(get_args(choices))
                raise ValueError(f"{name}: expected one of {known}, got {value!r}")
        for name in (*COUNTS, *(() if self.patience is None else ("patience",))):
            value = getattr(self, name)
            check_count(name, value)
            most = MOST_LAYERS if name == "num_layers" else MOST
            if value > most:
                raise ValueError(f"{name}: expected at most {most:,}, got {_short(value)}")
        check_rate("dropout", self.dropout)
        _check_number("learning_rate", self.learning_rate, above=True)
        _check_number("weight_decay", self.weight_decay)
        if self.clip is not None:
            _check_number("clip", self.clip, above=True)
        for name, most, what in (
            ("warmup", self.steps, ", the steps of the run"),
            ("seed", 2**32 - 1, ""),
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"{name}: expected an int, got {value!r}")
            if not 0 <= value <= most:
                raise ValueError(f"{name}: expected 0 to {most}{what}, got {_short(value)}")

    def learning_rates(self) -> optax.Schedule:
        """Step (from 0) -> learning rate."""
        rest = max(self.steps - self.warmup, 1)
        after = {
            "constant": optax.constant_schedule(self.learning_rate),
            "linear": optax.linear_schedule(self.learning_rate, 0.0, rest),
            "cosine": optax.cosine_decay_schedule(self.learning_rate, rest),
        }[self.schedule]
        rise = optax.linear_schedule(0.0, self.learning_rate, max(self.warmup, 1))
        rates = optax.join_schedules([rise, after], [self.warmup]) if self.warmup else after
        # optax counts steps in int32, and int32 with a Python float is float32 in any mode
        return lambda step: rates(jnp.asarray(step, default_float()))

    def optimizer(self) -> optax.GradientTransformation:
        adam = optax.adamw(self.learning_rates(), weight_decay=self.weight_decay)
        clip = optax.identity() if self.clip is None else optax.clip_by_global_norm(self.clip)
        return optax.chain(clip, adam)


def _check_number(name: str, value: Any, *, above: bool = False) -> None:
    """TypeError, ValueError: no finite number of at least 0, or above 0."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name}: expected a number, got {value!r}")
    number = float(value)
    if not math.isfinite(number) or number < 0 or (above and number == 0):
        least = "above 0" if above else "of at least 0"
        raise ValueError(f"{name}: expected a number {least}, got {value}")


def _short(value: int) -> str:
    return f"{value:,}" if abs(value) < 10**15 else "a larger number"
