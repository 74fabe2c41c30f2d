"""The part of the Jacobians that an iteration of Newton's method uses."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jax_rnn.base.typing import Array
from jax_rnn.cells.affine import AffineCell
from jax_rnn.cells.base import Cell
from jax_rnn.scans.packing import pack, unpack
from jax_rnn.scans.trajectory import Problem, jacobians, solve_linear

__all__ = ["JACOBIANS", "correction"]

JACOBIANS = ("auto", "full", "block", "diagonal")


def correction(problem: Problem, kind: str) -> Callable[[Array, Array, float], Array]:
    """``solve(earlier, r, memory)``: delta_t = memory J_t delta_{t-1} + r_t, of packed arrays.

    Args:
        problem: the steps.
        kind: the part of J, see ``Newton``.
    """
    blocks = _count(problem, kind)
    divided = problem._replace(blocks=blocks)
    alone = problem.cell
    if problem.blocks % blocks:  # the step mixes these blocks
        alone = _unmixed(problem.cell) if blocks == problem.cell.hidden_size else None

    def solve(earlier: Array, r: Array, memory: float) -> Array:
        earlier, r = (_repacked(problem, array, blocks) for array in (earlier, r))
        if alone is not None:
            a = jacobians(divided._replace(cell=alone), earlier)
        else:
            a = _within(divided, earlier)
        if kind == "diagonal":
            a = jnp.diagonal(a, axis1=-2, axis2=-1)
        delta = solve_linear(divided, memory * a, r, jnp.zeros_like(r[0]))
        return _repacked(problem, delta, problem.blocks)

    return solve


def _count(problem: Problem, kind: str) -> int:
    """The number of blocks; there is one for each unit if a part within units is wanted."""
    core: Any = problem.cell._core()
    heads = core.heads if isinstance(core, AffineCell) else 1
    if kind == "block" and heads > 1:
        return heads
    if kind in ("auto", "full"):
        return problem.blocks if kind == "auto" else 1
    shapes = (leaf.shape[problem.batch :] for leaf in jax.tree.leaves(problem.carry))
    return math.gcd(*map(math.prod, shapes))


def _repacked(problem: Problem, packed: Array, blocks: int) -> Array:
    if packed.shape[-2] == blocks:
        return packed
    like, batch = problem.carry, problem.batch
    return pack(unpack(packed, like, batch), like, batch, blocks)


def _within(divided: Problem, earlier: Array) -> Array:
    """What the Jacobians of whole states hold within each block."""
    whole = divided._replace(blocks=1)
    full = jacobians(whole, _repacked(divided, earlier, 1))[..., 0, :, :]
    numbers = jnp.arange(full.shape[-1], dtype=earlier.dtype).reshape(*(1,) * divided.batch, 1, -1)
    places = _repacked(divided, numbers, divided.blocks).astype(int)
    places = places.reshape(places.shape[-2:])
    return full[..., places[:, :, None], places[:, None, :]]


def _unmixed(cell: Cell) -> Cell | None:
    """A copy of an affine cell, also in wrappers, that has the derivatives within units only.

    Its hidden map has the same values, and the derivative of its diagonal. None if there is no
    diagonal, since h has other features than the gates.
    """
    copy: Any = jax.tree.map(lambda leaf: leaf, cell)
    core = copy._core()
    if not isinstance(core, AffineCell):
        return None
    recur, units = core.recur, jnp.arange(core.hidden_size)
    weight = core.weight_hh.reshape(len(core.gates), core.hidden_size, -1)
    if weight.shape[-1] * core.heads != core.hidden_size:
        return None
    diagonal = dict(zip(core.gates, weight[:, units, units % weight.shape[-1]], strict=True))

    def of_units(h: Array, gates: tuple[str, ...] | None = None) -> tuple[Array, ...]:
        fixed = lax.stop_gradient(h)
        found = zip(recur(fixed, gates), gates or core.gates, strict=True)
        return tuple(
            y + (lax.expand_dims(diagonal[name], range(h.ndim - 1)) * (h - fixed)).astype(y.dtype)
            for y, name in found
        )

    core.recur = of_units
    return copy
