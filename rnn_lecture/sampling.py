"""How symbols are drawn from the predictions of a model."""

import math
from dataclasses import dataclass

from jax_rnn.base.errors import ArgumentError

__all__ = ["Sampling", "check_sampling"]


@dataclass(frozen=True)
class Sampling:
    """How symbols are drawn from the predictions of a model.

    Attributes:
        temperature: number that logits are divided by; 0 always takes the likeliest symbol.
        top_k: number of the likeliest symbols to draw from; None draws from all.
        length: largest number of symbols.
        seed: int, seed of the random numbers.
    """

    temperature: float = 1.0
    top_k: int | None = None
    length: int = 500
    seed: int = 0


def check_sampling(sampling: Sampling) -> None:
    """Check the options of sampling.

    Raises:
        ArgumentError: a temperature below 0 or not finite, a ``top_k`` or a length below 1.
    """
    temperature, top_k, length = sampling.temperature, sampling.top_k, sampling.length
    if not (math.isfinite(temperature) and temperature >= 0):
        raise ArgumentError(
            "temperature",
            f"expected a number of at least 0, got {temperature}; "
            "0 always takes the likeliest symbol, 1 draws as the model predicts",
        )
    if top_k is not None and top_k < 1:
        raise ArgumentError(
            "top_k", f"expected at least 1, got {top_k}; omit it to draw from all symbols"
        )
    if length < 1:
        raise ArgumentError("length", f"expected at least 1 symbol, got {length}")
