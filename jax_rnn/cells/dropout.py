"""Dropout inside a cell: on its inputs, and on the state that its hidden map reads."""

from typing import Any

import jax
import jax.numpy as jnp

from jax_rnn.base.arguments import check_rate
from jax_rnn.base.typing import Array, CarryT, Size
from jax_rnn.cells.base import Cell, Noise
from jax_rnn.cells.gated import GatedCell
from jax_rnn.cells.inputs import example, of_lead
from jax_rnn.cells.wrapper import Wrapper

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

    def noise(self, key: Array, batch: tuple[Size, ...]) -> Any:
        return _mask(key, self.rate, (*batch, _width(self)), self.dtype)

    def on_read(self, h: Array, noise: Noise | None = None) -> Array:
        return h if noise is None else h * noise.step.astype(h.dtype)


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
        leaves = jax.tree.leaves(example(cell))
        if input and not all(jnp.issubdtype(leaf.dtype, jnp.inexact) for leaf in leaves):
            raise TypeError(
                f"VariationalDropout: expected a cell whose inputs are floats, got "
                f"{type(cell).__name__} with input_dtype {cell.input_dtype}; use input=0"
            )
        self.input, self.hidden = float(input), float(hidden)

    def sequence_noise(self, key: Array, batch: tuple[Size, ...]) -> Any:
        if self.input == self.hidden == 0:
            return None
        keys, x = jax.random.split(key), of_lead(self, batch)
        return (
            jax.tree.map(lambda leaf: _mask(keys[0], self.input, leaf.shape, leaf.dtype), x),
            _mask(keys[1], self.hidden, (*batch, _width(self) if self.hidden else 0), self.dtype),
        )

    def before(self, x: Any, noise: Noise | None = None) -> Any:
        if noise is None or self.input == 0:
            return x
        return jax.tree.map(lambda x, mask: x * mask.astype(x.dtype), x, noise.sequence[0])

    def on_read(self, h: Array, noise: Noise | None = None) -> Array:
        if noise is None or self.hidden == 0:
            return h
        return h * noise.sequence[1].astype(h.dtype)


def _check(name: str, cell: Cell | None, **rates: float) -> None:
    for option, rate in rates.items():
        check_rate(option, rate)
        if rate == 1:
            raise ValueError(f"{option}: expected a number of at least 0 and below 1, got {rate}")
    if cell is not None and not isinstance(cell._core(), GatedCell):
        raise TypeError(
            f"{name}: expected a GatedCell, whose hidden map reads the state, got "
            f"{type(cell._core()).__name__}; apply dropout in its step instead"
        )


def _width(cell: Cell) -> int:
    """Features of h, which the hidden map reads."""
    core: Any = cell._core()
    return core.weight_hh.shape[1] * core.heads


def _mask(key: Array, rate: float, shape: tuple[Size, ...], dtype: Any) -> Array | None:
    if rate == 0:
        return None
    kept = jax.random.bernoulli(key, 1 - rate, shape)
    return jnp.where(kept, 1 / (1 - rate), 0).astype(dtype)
