"""A long scan in chunks, of which only the first carry is stored for the gradient."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jax_rnn.cells.base import Cell
from jax_rnn.scans.masking import clean
from jax_rnn.scans.precision import summed_wide
from jax_rnn.typing import Array, Bool, CarryT, Float

__all__ = ["in_chunks"]


def in_chunks(
    scan: Callable[..., Any],
    steps: int,
    cell: Cell[CarryT],
    carry: CarryT,
    xs: Float[Array, "T *batch I"],
    mask: Bool[Array, "T *batch"] | None,
    reverse: bool,
) -> tuple[CarryT, Float[Array, "T *batch O"]]:
    """Run ``scan`` over ``steps`` at a time; the backward pass recomputes every chunk.

    The gradient then needs memory for T / steps carries and one chunk, instead of T steps.
    """
    own, xs = summed_wide(cell), clean(xs, mask)

    @partial(jax.checkpoint, prevent_cse=False)
    def chunk(carry, inputs):
        xs, mask = inputs
        return scan(own(), carry, xs, mask=mask, reverse=reverse)

    total = xs.shape[0]
    whole = total - total % steps
    first, rest = slice(None, whole), slice(whole, None)
    if reverse:
        first, rest = slice(total - whole, None), slice(None, total - whole)

    def part(where):
        return jax.tree.map(lambda leaf: leaf[where], (xs, mask))

    def split(leaf):
        return leaf.reshape(whole // steps, steps, *leaf.shape[1:])

    carry, ys = lax.scan(chunk, carry, jax.tree.map(split, part(first)), reverse=reverse)
    ys = ys.reshape(whole, *ys.shape[2:])
    if whole == total:
        return carry, ys
    carry, others = chunk(carry, part(rest))
    return carry, jnp.concatenate([others, ys] if reverse else [ys, others])
