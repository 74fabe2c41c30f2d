"""Placement of carries under ``jax.shard_map`` and on meshes with explicit axes.

In these cases the type of an array includes its sharding, and a loop needs a carry whose type does
not change, but a carry of zeros has another type than the batch. Otherwise nothing is changed.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import PartitionSpec

from jax_rnn.base.typing import Array
from jax_rnn.cells.base import Cell
from jax_rnn.cells.inputs import leaves_of

__all__ = ["is_explicit", "like", "on_batch", "with_common_type"]


def with_common_type(carried: Any, inputs: Any) -> tuple[Any, Any]:
    """The same values with a common type, varying over all axes that any of them varies over.

    ``carried`` is (cell, carry), ``inputs`` starts with the inputs of all steps, (T, *batch, I).
    """
    mesh = jax.sharding.get_abstract_mesh()
    xs = jax.tree.leaves(inputs[0])[0]
    if mesh.empty or mesh.are_all_axes_auto or xs.size == 0:
        return carried, inputs
    if mesh.manual_axes:
        never = jnp.zeros((), bool)
        for leaf in jax.tree.leaves((carried, inputs)):
            never |= _never(leaf[(0,) * leaf.ndim])
        return jax.tree.map(lambda leaf: lax.select(never, leaf, leaf), (carried, inputs))
    (cell, carry), (xs, *flags) = carried, inputs
    return (cell, on_batch(carry, cell, xs, 0)), (xs, *on_batch(flags, cell, xs, 1))


def on_batch(tree: Any, cell: Cell, xs: Any, before: int) -> Any:
    """The same arrays, sharded over explicit axes as the batch of ``xs``, (T, *batch, I).

    ``before`` is the number of their axes before those of the batch.
    """
    if not is_explicit():
        return tree
    leaf, axes, *_ = leaves_of(cell, xs)[0]
    batch = jax.typeof(leaf).sharding.spec[1 : leaf.ndim - axes]

    def place(leaf: Array) -> Array:
        spec = jax.typeof(leaf).sharding.spec
        own = PartitionSpec(*spec[:before], *batch, *spec[before + len(batch) :])
        return jax.sharding.reshard(leaf, own)

    return jax.tree.map(place, tree)


def like(new: Any, old: Any) -> Any:
    """``new`` with the types of ``old``; unchanged if nothing is sharded."""
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty or mesh.are_all_axes_auto:
        return new

    def leaf(a: Array, b: Array) -> Array:
        if jax.typeof(a) == jax.typeof(b) or a.shape != b.shape or a.dtype != b.dtype:
            return a
        if mesh.manual_axes:
            return lax.select(_never(b), b, a)
        return jax.sharding.reshard(a, jax.typeof(b).sharding)

    return jax.tree.map(leaf, new, old)


def is_explicit() -> bool:
    """Whether shapes may have sharded axes, which must not be merged."""
    return bool(jax.sharding.get_abstract_mesh().explicit_axes)


def _never(x: Array) -> Array:
    """False, with the sharding of ``x``: a select by it gives a value the type of ``x``."""
    return (x == x) & (x != x)
