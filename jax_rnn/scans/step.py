"""A step in the loop of a scan: reset, cell and mask, and gradients summed in float32."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jax_rnn.cells.base import Cell, Noise, check_output
from jax_rnn.cells.wrapper import after, main
from jax_rnn.scans.base import Constants, Inputs
from jax_rnn.scans.placement import like
from jax_rnn.typing import Array, Bool, CarryT, Float, Size, accumulator

__all__ = [
    "advance",
    "advance_projected",
    "clean",
    "finished",
    "noise_of",
    "only",
    "summed_wide",
]


def advance(
    cell: Cell[CarryT], carry: CarryT, inputs: Inputs, constants: Constants
) -> tuple[CarryT, Any]:
    """One step of a scan: reset, step and mask. All leaves of ``inputs`` are those of one step."""
    batch = inputs.x.shape[: inputs.x.ndim - cell.num_feature_axes]
    return advance_projected(
        cell, carry, inputs._replace(x=cell.project(inputs.x)), constants, batch
    )


def advance_projected(
    cell: Cell[CarryT],
    carry: CarryT,
    inputs: Inputs,
    constants: Constants,
    batch: tuple[Size, ...],
) -> tuple[CarryT, Any]:
    """``advance`` where ``inputs.x`` is the result of ``cell.project``."""
    before = carry
    if inputs.resets is not None:
        before = only(inputs.resets, constants.initial, carry)
    noise = noise_of(inputs.noise, constants.noise)
    new, y = cell.step(before, inputs.x, *(() if noise is None else (noise,)))
    check_output(cell, main(y), batch)
    zero = jax.tree.map(jnp.zeros_like, y)
    return only(inputs.mask, (like(new, carry), y), (carry, zero))


def finished(cell: Cell, ys: Any, inputs: Inputs) -> Any:
    """Outputs of the innermost cell for all steps, passed through the wrappers around it."""
    outputs = after(cell, ys, inputs.x)
    if outputs is ys or inputs.mask is None:
        return outputs
    return only(inputs.mask, outputs, jax.tree.map(jnp.zeros_like, outputs))


def noise_of(step: Any, sequence: Any) -> Noise | None:
    return None if step is None and sequence is None else Noise(step, sequence)


def clean(
    xs: Float[Array, "T *batch_I"], mask: Bool[Array, "T *batch"] | None
) -> Float[Array, "T *batch_I"]:
    """Replace inputs of invalid steps by zeros, since 0 * NaN in a gradient is NaN."""
    return only(mask, xs, jnp.zeros((), xs.dtype)) if mask is not None else xs


def only(live: Bool[Array, "*batch"] | None, new: Any, old: Any) -> Any:
    """``new`` in valid steps, ``old`` in invalid ones."""
    if live is None:
        return new

    def choose(a, b):
        return jnp.where(live.reshape(live.shape + (1,) * (a.ndim - live.ndim)), a, b)

    return jax.tree.map(choose, new, old)


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
