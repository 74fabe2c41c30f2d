"""Gradients of half-precision parameters, summed over time in float32."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jax_rnn.cells.base import Cell
from jax_rnn.typing import accumulator

__all__ = ["summed_wide"]


def summed_wide(cell: Cell) -> Callable[[], Cell]:
    """A function that creates copies of the cell, whose gradients are summed in float32.

    Call it in the body of a loop: the gradients of a closed-over cell would be summed over the
    steps in the dtype of the cell.
    """
    if not any(_is_half(leaf) for leaf in jax.tree.leaves(cell)):
        return lambda: cell
    wide = jax.tree.map(
        lambda leaf: leaf.astype(accumulator(leaf.dtype)) if _is_half(leaf) else leaf, cell
    )
    return lambda: jax.tree.map(lambda w, own: w.astype(own.dtype), wide, cell)


def _is_half(leaf: Any) -> bool:
    return leaf.dtype in (jnp.bfloat16, jnp.float16)
