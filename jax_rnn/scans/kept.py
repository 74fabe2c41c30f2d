"""What the gated scan stores for its derivatives."""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jax_rnn.base.typing import Array
from jax_rnn.scans.gates import Gates

__all__ = ["Kept", "Packed", "Residuals", "packed"]


class Residuals(NamedTuple):
    """The arrays of a step, one per gate, as ``update`` gets them.

    On CPU a loop that slices gates from one array of all steps is not vectorised.
    """

    x: Gates
    """The sum of both maps, or the input's map for a separate gate."""
    h: Gates
    """The hidden map of a separate gate, otherwise None."""
    carry: Any
    """The carry before the step, after a reset."""


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["stacked", "others"],
    meta_fields=["places", "structure"],
)
@dataclass(frozen=True)
class Packed:
    """The leaves of a tree, those like the first in one array.

    A GPU needs a kernel to store each array of a step.
    """

    stacked: Any
    """The leaves of one shape and dtype, before whose axes there is one over them."""
    others: Any
    places: tuple[int, ...]
    """The numbers of the stacked leaves."""
    structure: Any


def packed(tree: Any) -> Packed:
    leaves, structure = jax.tree.flatten(tree)
    form = jax.typeof(leaves[0])
    places = tuple(k for k, leaf in enumerate(leaves) if jax.typeof(leaf) == form)
    others = [leaf for k, leaf in enumerate(leaves) if k not in places]
    return Packed(jnp.stack([leaves[k] for k in places]), others, places, structure)


class Kept(NamedTuple):
    """The arrays of a step, or with an axis in front those of all steps."""

    stored: Residuals | Packed
    h: Array | None
    """h of the carry, if it is not stored since it is an output."""

    def residuals(self, axis: int = 0) -> Residuals:
        """The arguments of ``update``; ``axis`` is that over packed arrays."""
        stored: Any = self.stored
        if isinstance(stored, Packed):
            rest = iter(stored.others)
            size = len(stored.places) + len(stored.others)
            leaves = [
                stored.stacked.take(stored.places.index(k), axis)
                if k in stored.places
                else next(rest)
                for k in range(size)
            ]
            stored = stored.structure.unflatten(leaves)
        if self.h is None:
            return stored
        return stored._replace(carry=stored.carry._replace(h=self.h))
