"""The definition: one step after another, differentiated by JAX."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jax_rnn.cells.base import Cell
from jax_rnn.typing import Array, Bool, CarryT, Float

__all__ = ["sequential"]


@partial(jax.jit, static_argnames=("reverse", "unroll"))
def sequential(
    cell: Cell[CarryT],
    carry: CarryT,
    xs: Float[Array, "T *batch I"],
    *,
    mask: Bool[Array, "T *batch"] | None = None,
    reverse: bool = False,
    unroll: int = 1,
) -> tuple[CarryT, Float[Array, "T *batch O"]]:
    """Run ``cell`` over the leading axis of ``xs``; compiled once for each set of shapes.

    Args:
        cell: any ``Cell``.
        carry: the state before the first step.
        xs: inputs, time-major.
        mask: True where a step counts. Elsewhere the carry stays, the output is zero, and the
            input, whatever it holds, reaches no value and no gradient.
        reverse: run from the last step to the first; outputs stay at their steps.
        unroll: steps per iteration of the compiled loop (see ``jax.lax.scan``).

    Returns:
        The last carry, and the outputs of all steps.
    """
    if mask is not None:
        xs = jnp.where(mask[..., None], xs, 0)  # before the cell: 0 * NaN in a gradient is NaN

    step = _step_of(cell)

    def body(carry, inputs):
        x, keep = inputs
        new_carry, y = step(carry, x)
        if keep is not None:
            new_carry = jax.tree.map(lambda new, old: _where(keep, new, old), new_carry, carry)
            y = _where(keep, y, jnp.zeros_like(y))
        return new_carry, y

    return lax.scan(body, carry, (cell.project(xs), mask), reverse=reverse, unroll=unroll)


def _step_of(cell: Cell) -> Callable[..., Any]:
    """``cell.step``; gradients of half-precision parameters are summed over time in float32."""
    if not any(_is_half(leaf) for leaf in jax.tree.leaves(cell)):
        return cell.step
    wide = jax.tree.map(lambda leaf: leaf.astype(jnp.float32) if _is_half(leaf) else leaf, cell)

    def step(carry, x):
        narrow = jax.tree.map(
            lambda w, own: w.astype(own.dtype) if _is_half(own) else w, wide, cell
        )
        return narrow.step(carry, x)

    return step


def _is_half(leaf: Any) -> bool:
    return leaf.dtype in (jnp.bfloat16, jnp.float16)


def _where(keep: Array, new: Array, old: Array) -> Array:
    return jnp.where(keep.reshape(keep.shape + (1,) * (new.ndim - keep.ndim)), new, old)
