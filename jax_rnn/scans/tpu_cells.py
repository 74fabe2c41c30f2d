"""The cells whose steps can be a kernel, and what a kernel knows of a cell."""

from typing import Any

import jax
from flax import nnx

from jax_rnn.base.typing import accumulator
from jax_rnn.cells.base import Cell
from jax_rnn.cells.gated import Maps
from jax_rnn.cells.inputs import example, shape_of
from jax_rnn.scans.base import Unsupported

__all__ = ["emptied", "why_not"]


def why_not(cell: Cell) -> bool | Unsupported:
    """Why a gated cell, also in wrappers, cannot be a kernel; True if it can."""
    core: Any = cell._core()
    if core.heads > 1:
        return Unsupported(f"expected a dense hidden map, got {core.heads} heads")
    if cell._takes("context"):
        return Unsupported("expected steps without context, got a method that takes it")
    for name, leaf in _carry(cell, ())._asdict().items():
        if leaf.ndim != 1:
            return Unsupported(f"expected a carry of vectors, got {name} of shape {leaf.shape}")
    if read := _arrays_read(cell):
        return Unsupported(
            "expected an update without parameters, which computes with gates and carry alone, got "
            f"one that reads {', '.join(read)}"
        )
    return True


def emptied(cell: Cell) -> Cell:
    """The cell with shapes in place of parameters, which a kernel cannot read."""
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), cell)


def _carry(cell: Cell, batch: tuple[int, ...]) -> Any:
    return jax.eval_shape(lambda: cell.initialize_carry(shape_of(example(cell, batch))))


def _arrays_read(cell: Cell) -> list[str]:
    """The arrays that a step computes with, apart from both maps."""
    core: Any = cell._core()
    graphdef, state = nnx.split(cell)
    gate: Any = jax.ShapeDtypeStruct((1, core.hidden_size), accumulator(core.dtype))
    gates = tuple(Maps(gate, gate) if name in core.separate else gate for name in core.gates)

    def step(state: Any, gates: Any, carry: Any) -> Any:
        own: Any = nnx.merge(graphdef, state)
        updated = own._core()._update_inside(own, gates, carry, None, None)
        return updated, own._read(carry, None, None)

    program = jax.make_jaxpr(step)(state, gates, _carry(cell, (1,)))
    inner = program.jaxpr
    used = {id(v) for v in [*inner.outvars, *(v for e in inner.eqns for v in e.invars)]}
    names = [".".join(map(str, path)) for path, _ in nnx.to_flat_state(state)]
    found = [name for name, v in zip(names, inner.invars, strict=False) if id(v) in used]
    return found + [f"an array of shape {array.shape}" for array in program.consts]
