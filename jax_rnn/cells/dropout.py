"""Dropout inside a cell: on its inputs, and on the state that its hidden map reads."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jax_rnn.arguments import check_rate
from jax_rnn.cells.base import Cell, Noise
from jax_rnn.cells.gated import is_gated
from jax_rnn.cells.wrapper import Wrapper, core_of
from jax_rnn.typing import Array, CarryT, Size

__all__ = ["RecurrentDropout", "VariationalDropout"]


class RecurrentDropout(Wrapper[CarryT]):
    r"""Dropout of the hidden state that the hidden map reads, with a new mask in every step.

    .. math::
        H_t = W_{hh} (m_t h_{t-1}) + b_{hh}, \quad m_t \in \{0, 1 / (1 - rate)\}

    The carry itself is not changed. In evaluation mode the mask is 1, its expectation.

    Args:
        cell: a ``GatedCell``, also in wrappers.
        rate: float, probability of a zero, from 0 to below 1.

    Raises:
        TypeError: not a cell, or a cell that is not a ``GatedCell``; a rate that is not a number.
        ValueError: a rate outside [0, 1).
    """

    def __init__(self, cell: Cell[CarryT], rate: float):
        super().__init__(cell)
        _check(type(self).__name__, cell, rate=rate)
        self.rate = float(rate)

    def draw(self, key: Array, batch: tuple[Size, ...]) -> Any:
        if self.rate == 0:
            return None
        return _mask(key, self.rate, (*batch, _width(self.cell)), self.dtype)

    def on_read(self, h: Array, noise: Noise | None) -> Array:
        return h if noise is None else h * _fit(noise.step, h)


class VariationalDropout(Wrapper[CarryT]):
    r"""Dropout of inputs and of the hidden state with the same masks in all steps of a sequence.

    .. math::
        X_t = W_{ih} (m^x x_t) + b_{ih} \qquad H_t = W_{hh} (m^h h_{t-1}) + b_{hh}

    The masks are 0 or 1 / (1 - rate), drawn once for each sequence. The carry itself is not
    changed. In evaluation mode the masks are 1, their expectation.

    Args:
        cell: the cell; a ``GatedCell``, also in wrappers, if ``hidden`` is not 0.
        input: float, probability of a zero in the mask of the input, from 0 to below 1; 0 by
            default.
        hidden: float, probability of a zero in the mask of the hidden state; 0 by default.

    Raises:
        TypeError: not a cell, or a cell that is not a ``GatedCell``; a rate that is not a number.
        ValueError: a rate outside [0, 1).

    Source: Y. Gal and Z. Ghahramani, "A theoretically grounded application of dropout in recurrent
    neural networks", 2016.
    """

    def __init__(self, cell: Cell[CarryT], *, input: float = 0.0, hidden: float = 0.0):
        super().__init__(cell)
        _check(type(self).__name__, cell if hidden else None, input=input, hidden=hidden)
        self.input, self.hidden = float(input), float(hidden)

    def draw_sequence(self, key: Array, batch: tuple[Size, ...]) -> Any:
        if self.input == self.hidden == 0:
            return None
        keys = jax.random.split(key)
        return (
            _mask(keys[0], self.input, (*batch, self.input_size), self.dtype),
            _mask(keys[1], self.hidden, (*batch, _width(self.cell)), self.dtype),
        )

    def before(self, x: Array, noise: Any) -> Array:
        return x if noise is None or noise[0] is None else x * _fit(noise[0], x)

    def on_read(self, h: Array, noise: Noise | None) -> Array:
        if noise is None or noise.sequence[1] is None:
            return h
        return h * _fit(noise.sequence[1], h)


def _check(name: str, cell: Cell | None, **rates: float) -> None:
    for option, rate in rates.items():
        check_rate(option, rate)
        if rate == 1:
            raise ValueError(f"{option}: expected a number from 0 to below 1, got {rate}")
    if cell is not None and not is_gated(core_of(cell)):
        raise TypeError(
            f"{name}: expected a GatedCell, whose hidden map reads the state, got "
            f"{type(core_of(cell)).__name__}; apply dropout in its step instead"
        )


def _width(cell: Cell) -> int:
    carry: Any = jax.eval_shape(lambda: cell.initialize_carry((cell.input_size,)))
    return carry.h.shape[-1] if "h" in carry._fields else 0


def _mask(key: Array, rate: float, shape: tuple[Size, ...], dtype: Any) -> Array | None:
    if rate == 0:
        return None
    kept = jax.random.bernoulli(key, 1 - rate, shape)
    return jnp.where(kept, 1 / (1 - rate), 0).astype(dtype)


def _fit(mask: Array, x: Array) -> Array:
    """The mask in the dtype of ``x``, with a leading axis if ``x`` has one of time."""
    return lax.expand_dims(mask.astype(x.dtype), range(x.ndim - mask.ndim))
