"""A step in the loop of a scan: reset, cell and mask, and gradients summed in float32."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jax_rnn.base.typing import Array, Bool, CarryT, accumulator
from jax_rnn.cells.base import Cell, Noise
from jax_rnn.cells.linear import LinearCell
from jax_rnn.scans.base import Constants, Inputs
from jax_rnn.scans.placement import like

__all__ = [
    "advance",
    "advance_projected",
    "clean",
    "noise_of",
    "over_time",
    "project_all",
    "where_rows",
    "with_wide_gradients",
]


def advance(
    cell: Cell[CarryT], carry: CarryT, inputs: Inputs, constants: Constants
) -> tuple[CarryT, Any]:
    """One step of a scan: reset, step and mask. All leaves of ``inputs`` are those of one step."""
    own = cell._own(noise_of(inputs.noise, constants.noise))
    x = cell._core()._project(inputs.x, own, constants.context)
    return advance_projected(cell, carry, inputs._replace(x=x), constants)


def advance_projected(
    cell: Cell[CarryT], carry: CarryT, inputs: Inputs, constants: Constants
) -> tuple[CarryT, Any]:
    """``advance`` where ``inputs.x`` is that of one step of ``project_all``."""
    before = carry
    if inputs.resets is not None:
        before = where_rows(inputs.resets, constants.initial, carry)
    noise = noise_of(inputs.noise, constants.noise)
    new, y = cell._core()._step_inside(cell, before, inputs.x, noise, constants.context)
    outputs = (y, new) if constants.states else y
    zero = jax.tree.map(jnp.zeros_like, outputs)
    return where_rows(inputs.mask, (like(new, carry), outputs), (carry, zero))


def project_all(cell: Cell, inputs: Inputs, constants: Constants) -> Any:
    """The projections of all steps, by the cell inside all wrappers."""
    core, context = cell._core(), constants.context
    if not isinstance(core, LinearCell):
        return core.project(inputs.x)

    def project(noise: Noise | None, x: Any) -> Any:
        return core._project(x, cell._own(noise), context)

    return over_time(project, inputs.noise, constants.noise, inputs.x)


def over_time(function: Callable[..., Any], noise: Any, shared: Any, *arguments: Any) -> Any:
    """``function(noise, *arguments)`` of one step for all steps at once."""
    return jax.vmap(lambda step, *rest: function(noise_of(step, shared), *rest))(noise, *arguments)


def noise_of(step: Any, sequence: Any) -> Noise | None:
    return None if step is None and sequence is None else Noise(step, sequence)


def clean(xs: Any, mask: Bool[Array, "T *batch"] | None) -> Any:
    """Replace inputs of invalid steps by zeros, since 0 * NaN in a gradient is NaN."""
    if mask is None:
        return xs
    return jax.tree.map(lambda x: where_rows(mask, x, jnp.zeros((), x.dtype)), xs)


def where_rows(rows: Bool[Array, "*batch"] | None, new: Any, old: Any) -> Any:
    """``new`` in the rows that are True, ``old`` in the others; ``new`` if there is no choice."""
    if rows is None:
        return new

    def choose(a, b):
        return jnp.where(rows.reshape(rows.shape + (1,) * (a.ndim - rows.ndim)), a, b)

    return jax.tree.map(choose, new, old)


def with_wide_gradients(cell: Cell) -> Callable[[], Cell]:
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
