"""The states of a cell along a sequence."""

from typing import Any

import jax
import jax.numpy as jnp

from jax_rnn.base.typing import Array, describe
from jax_rnn.cells.base import Cell
from jax_rnn.cells.inputs import shape_of
from jax_rnn.scans.runner import run_all

__all__ = ["trajectory"]


def trajectory(cell: Cell, x: Any, carry: Any = None) -> tuple[Any, Array]:
    """The carries before each step, time-major, and the outputs, in evaluation mode.

    Raises:
        TypeError: not a cell.
    """
    if not isinstance(cell, Cell):
        raise TypeError(
            f"cell: expected a cell, got {describe(cell)}; pass a cell of a layer, e.g. "
            "layer.cells[0]"
        )
    if carry is None:
        carry = cell.initialize_carry(shape_of(jax.tree.map(lambda leaf: leaf[0], x)))
    _, y, states, _ = run_all(cell, carry, x, states=True)
    before = jax.tree.map(
        lambda first, rest: jnp.concatenate([first[None], rest[:-1]]), carry, states
    )
    return before, y
