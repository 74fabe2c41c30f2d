"""A long scan in chunks, of which only the first carry is stored for the gradient."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jax_rnn.base.arguments import check_count
from jax_rnn.base.typing import CarryT, is_symbolic
from jax_rnn.cells.base import Cell
from jax_rnn.scans.base import Constants, Inputs, Scan, Unsupported
from jax_rnn.scans.choice import chosen, named
from jax_rnn.scans.step import with_wide_gradients

__all__ = ["Checkpointed"]


@dataclass(frozen=True)
class Checkpointed(Scan):
    """Another scan in chunks, for long sequences: the backward pass recomputes every chunk.

    The gradient then needs memory for T / every carries and one chunk, instead of T steps. A
    sequence of symbolic length is not divided.

    Args:
        every: int, steps of a chunk; the square root of T needs least memory.
        scan: ``Scan`` or name, how a chunk runs; ``"auto"`` by default.
    """

    every: int
    scan: Any = "auto"

    def __post_init__(self):
        check_count("Checkpointed.every", self.every)
        named(self.scan)

    def supports(self, cell: Cell) -> bool | Unsupported:
        return self.scan == "auto" or named(self.scan).supports(cell)

    def resolved(self, cell: Cell, shape: Any, platform: str) -> "Checkpointed":
        return replace(self, scan=chosen(cell, shape, self.scan, platform))

    def __call__(
        self,
        cell: Cell[CarryT],
        carry: CarryT,
        inputs: Inputs,
        constants: Constants,
        *,
        reverse: bool = False,
    ) -> tuple[CarryT, Any]:
        total, every = inputs.steps, self.every
        if is_symbolic(total) or every >= total:
            return self.scan(cell, carry, inputs, constants, reverse=reverse)
        own = with_wide_gradients(cell)

        @partial(jax.checkpoint, prevent_cse=False)
        def chunk(carry, inputs):
            return self.scan(own(), carry, inputs, constants, reverse=reverse)[:2]

        whole = total - total % every
        first, rest = slice(None, whole), slice(whole, None)
        if reverse:
            first, rest = slice(total - whole, None), slice(None, total - whole)

        def part(where):
            return jax.tree.map(lambda leaf: leaf[where], inputs)

        def split(leaf):
            return leaf.reshape(whole // every, every, *leaf.shape[1:])

        carry, ys = lax.scan(chunk, carry, jax.tree.map(split, part(first)), reverse=reverse)
        ys = jax.tree.map(lambda y: y.reshape(whole, *y.shape[2:]), ys)
        if whole == total:
            return carry, ys
        carry, others = chunk(carry, part(rest))
        pieces = (others, ys) if reverse else (ys, others)
        return carry, jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *pieces)
