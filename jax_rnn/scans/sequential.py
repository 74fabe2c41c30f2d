"""The definition: one step after another, differentiated by JAX."""

from functools import partial

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

    def body(carry, inputs):
        x, keep = inputs
        new_carry, y = cell.step(carry, x)
        if keep is not None:
            new_carry = jax.tree.map(lambda new, old: _where(keep, new, old), new_carry, carry)
            y = _where(keep, y, jnp.zeros_like(y))
        return new_carry, y

    return lax.scan(body, carry, (cell.project(xs), mask), reverse=reverse, unroll=unroll)


def _where(keep: Array, new: Array, old: Array) -> Array:
    return jnp.where(keep.reshape(keep.shape + (1,) * (new.ndim - keep.ndim)), new, old)
