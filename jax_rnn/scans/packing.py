"""A state as one real array, in blocks whose steps do not depend on each other."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jax_rnn.base.typing import Array
from jax_rnn.cells.affine import AffineCell
from jax_rnn.cells.base import Cell
from jax_rnn.cells.linear import LinearCell

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


def blocks_of(cell: Cell, step: Any, arguments: Any, batch: int) -> int:
    """The number of blocks of the state that a step maps each on its own.

    The heads of a cell, or the features of a linear one, are what it declares; that nothing else
    mixes them, e.g. a normalisation, is seen from the Jacobian at random numbers.

    Args:
        cell: the cell.
        step: ``step(carry, *others) -> carry``.
        arguments: what it is called with, arrays or their shapes.
        batch: number of batch axes.
    """
    core = cell._core()
    declared = core.heads if isinstance(core, AffineCell) else 1
    if isinstance(core, LinearCell):
        declared = core.hidden_size
    sizes = [int(np.prod(leaf.shape[batch:])) for leaf in jax.tree.leaves(arguments[0])]
    if declared == 1 or any(size % declared for size in sizes):
        return 1
    generator = np.random.default_rng(0)

    def random(leaf: Any) -> Any:
        if jnp.issubdtype(leaf.dtype, jnp.inexact):
            return jnp.asarray(generator.uniform(0.1, 0.9, leaf.shape), leaf.dtype)
        return jnp.zeros(leaf.shape, leaf.dtype)

    with jax.ensure_compile_time_eval():
        carry, *others = jax.tree.map(random, arguments)
        state = pack(carry, carry, batch, declared)

        def flat(state: Array) -> Array:
            return pack(step(unpack(state, carry, batch), *others), carry, batch, declared)

        one = jnp.expand_dims(jnp.eye(declared, dtype=state.dtype), (*range(1, batch + 1), -1))
        changed = jax.vmap(lambda block: jax.jvp(flat, (state,), (block * state,))[1])(one)
        return declared if not jnp.any(changed * (one == 0)) else 1
