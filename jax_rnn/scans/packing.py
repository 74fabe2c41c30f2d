"""A state as one real array, in blocks whose steps do not depend on each other."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jax_rnn.base.typing import Array, is_symbolic
from jax_rnn.cells.affine import AffineCell
from jax_rnn.cells.base import Cell
from jax_rnn.cells.linear import LinearCell
from jax_rnn.scans.base import Constants, Inputs
from jax_rnn.scans.step import advance

__all__ = ["blocks_of", "pack", "unpack"]


def pack(state: Any, like: Any, batch: int, blocks: int) -> Array:
    """The fields of a state side by side, (..., *batch, blocks, size).

    The features of each field are divided into so many blocks; complex numbers become pairs.

    Args:
        state: arrays (..., *batch, *features), e.g. with an axis of time first.
        like: a state of arrays (*batch, *features).
        batch: number of batch axes.
        blocks: number of blocks.
    """
    parts = []
    for leaf, of in zip(jax.tree.leaves(state), jax.tree.leaves(like), strict=True):
        lead = leaf.shape[: leaf.ndim - (of.ndim - batch)]
        leaf = leaf.reshape(*lead, blocks, -1)
        parts += [leaf.real, leaf.imag] if jnp.iscomplexobj(leaf) else [leaf]
    return jnp.concatenate(parts, -1)


def unpack(packed: Array, like: Any, batch: int) -> Any:
    """The state of an array that ``pack`` made."""
    blocks, found, start = packed.shape[-2], [], 0
    leaves, structure = jax.tree.flatten(like)
    for of in leaves:
        features = of.shape[batch:]
        size = int(np.prod(features)) // blocks
        parts = []
        for _ in range(1 + jnp.iscomplexobj(of)):
            part = packed[..., start : start + size]
            parts.append(part.reshape(*packed.shape[:-2], *features))
            start += size
        found.append(jax.lax.complex(*parts) if len(parts) == 2 else parts[0].astype(of.dtype))
    return jax.tree.unflatten(structure, found)


def blocks_of(cell: Cell, carry: Any, x: Any, context: Any, batch: int) -> int:
    """The number of blocks of the state that a step maps each on its own.

    The heads of a cell, or the features of a linear one, are what it declares. That nothing else
    mixes them, e.g. a normalisation, is tried: NaN in one block must not reach another one. It
    passes saturated functions and zero weights too, where a Jacobian at some point is zero.

    Args:
        cell: the cell; only shapes of it and of the other arguments are used.
        carry, x, context: what a step gets.
        batch: number of batch axes.
    """
    core = cell._core()
    declared = core.heads if isinstance(core, AffineCell) else 1
    if isinstance(core, LinearCell):
        declared = core.hidden_size
    sizes = [int(np.prod(leaf.shape[batch:])) for leaf in jax.tree.leaves(carry)]
    if declared == 1 or any(size % declared for size in sizes):
        return 1
    if context is None:  # the arrays of a context may have batch axes
        carry, x = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape[batch:], leaf.dtype), (carry, x)
        )
        batch = 0
    given = cell, carry, x, context
    if any(map(is_symbolic, (size for leaf in jax.tree.leaves(given) for size in leaf.shape))):
        return 1
    with jax.ensure_compile_time_eval(), jax.debug_nans(False):
        mixed = _mixes(batch, declared, *jax.tree.map(_some, given))
        return 1 if mixed.any() else declared


def _some(leaf: Any) -> np.ndarray:
    value = 0.5 if jnp.issubdtype(leaf.dtype, jnp.inexact) else 0
    return np.full(leaf.shape, value, leaf.dtype)


@partial(jax.jit, static_argnums=(0, 1))
def _mixes(batch: int, blocks: int, cell: Any, carry: Any, x: Any, context: Any) -> Array:
    """Which block (row) reaches which other one (column) in a step."""
    state, numbers = pack(carry, carry, batch, blocks), jnp.arange(blocks)

    def reached(number: Array) -> Array:
        marked = jnp.where((numbers == number)[:, None], jnp.nan, state)
        old = unpack(marked, carry, batch)
        new, _ = advance(cell, old, Inputs(x), Constants(context=context))
        found = jnp.isnan(pack(new, carry, batch, blocks)).any(-1)
        return found.reshape(-1, blocks).any(0) & (numbers != number)

    return jax.vmap(reached)(numbers)
