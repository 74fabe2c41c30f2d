"""The reference scan: one step after another, differentiated by JAX."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

from jax_rnn.cells.base import Cell, check_output
from jax_rnn.scans.masking import clean, only
from jax_rnn.scans.placement import like
from jax_rnn.scans.precision import summed_wide
from jax_rnn.typing import Array, Bool, CarryT, Float

__all__ = ["sequential"]


@partial(jax.jit, static_argnames=("reverse", "unroll", "project_first"))
def sequential(
    cell: Cell[CarryT],
    carry: CarryT,
    xs: Float[Array, "T *batch I"],
    *,
    mask: Bool[Array, "T *batch"] | None = None,
    reverse: bool = False,
    unroll: int = 1,
    project_first: bool = True,
) -> tuple[CarryT, Float[Array, "T *batch O"]]:
    """Run ``cell`` over the leading axis of ``xs``; compiled once per set of shapes.

    Args:
        cell: any ``Cell``.
        carry: the state before the first step.
        xs: inputs, time-major.
        mask: True for valid steps. In other steps the carry does not change, the output is zero,
            and the input, even NaN, affects neither outputs nor gradients.
        reverse: run from the last step to the first; outputs keep their positions.
        unroll: steps per iteration of the compiled loop (see ``jax.lax.scan``).
        project_first: whether the inputs of all steps are projected at once, before the loop.

    Returns:
        The last carry, and the outputs of all steps.
    """
    own, batch = summed_wide(cell), xs.shape[1:-1]

    def body(carry, inputs):
        x, live = inputs
        cell = own()
        new, y = cell.step(carry, x if project_first else cell.project(x))
        check_output(cell, y, batch)
        return only(live, (like(new, carry), y), (carry, jnp.zeros_like(y)))

    xs = clean(xs, mask)
    xs = cell.project(xs) if project_first else xs
    return lax.scan(body, carry, (xs, mask), reverse=reverse, unroll=unroll)
