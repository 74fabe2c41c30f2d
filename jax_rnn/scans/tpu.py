"""Gated cells on a TPU: all steps in one kernel, derived from ``update``."""

from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jax_rnn.base.arguments import check_count
from jax_rnn.base.typing import Array, CarryT, accumulator, is_symbolic
from jax_rnn.cells.base import Cell
from jax_rnn.cells.gated import Maps
from jax_rnn.cells.inputs import example, shape_of
from jax_rnn.scans.base import Constants, Inputs, Scan, Unsupported
from jax_rnn.scans.gated import Gated
from jax_rnn.scans.gates import biases, by_gate, columns, joined, matmul, plus
from jax_rnn.scans.sequential import Sequential
from jax_rnn.scans.sizes import rows_of, steps_of
from jax_rnn.scans.tpu_memory import MIB, Limits
from jax_rnn.scans.tpu_steps import Fixed, Hidden, Kernel, Start, run

__all__ = ["Tpu"]


@dataclass(frozen=True)
class Tpu(Scan):
    """..."""

    batch_block: int | None = None
    steps: int | None = None
    vmem: int = 96
    interpret: bool | None = None

    def __post_init__(self):
        for name in ("batch_block", "steps", "vmem"):
            if getattr(self, name) is not None:
                check_count(f"Tpu.{name}", getattr(self, name))

    def supports(self, cell: Cell) -> bool | Unsupported:
        if not (found := Gated().supports(cell)):
            return found
        core: Any = cell._core()
        if core.heads > 1:
            return Unsupported(f"expected a dense hidden map, got {core.heads} heads")
        if cell._takes("context"):
            return Unsupported("expected steps that read no context, got a method that takes it")
        carry: Any = _carry(cell, ())
        for name, leaf in carry._asdict().items():
            if leaf.ndim != 1:
                return Unsupported(f"expected a carry of vectors, got {name} of shape {leaf.shape}")
        if read := _arrays_read(cell):
            return Unsupported(
                f"expected an update that computes with gates and carry alone, got one that reads "
                f"{read[0]}"
            )
        return True

    def suits(self, cell: Cell, shape: Any, platform: str) -> bool:
        return False

    def resolved(self, cell: Cell, shape: Any, platform: str) -> Scan:
        if any(map(is_symbolic, (steps_of(cell, shape), rows_of(cell, shape)))):
            return Sequential().resolved(cell, shape, platform)
        interpret = platform != "tpu" if self.interpret is None else self.interpret
        return replace(self, interpret=interpret)

    def __call__(
        self,
        cell: Cell[CarryT],
        carry: CarryT,
        inputs: Inputs,
        constants: Constants,
        *,
        reverse: bool = False,
    ) -> tuple[CarryT, Any]:
        core: Any = cell._core()
        batch = inputs.x.shape[1:-1]
        limits = Limits(self.batch_block, self.steps, self.vmem * MIB, bool(self.interpret))
        kernel = Kernel(_hollow(cell), reverse, constants.states, limits)
        separate = [name in core.separate for name in core.gates]
        x_bias, h_bias = joined(separate, biases(core, core.bias_ih), biases(core, core.bias_hh))
        x = tuple(matmul(inputs.x, w) for w in by_gate(core, columns(core.weight_ih)))
        x, carry, initial, noise, sequence = (
            jax.tree.map(lambda leaf: leaf.reshape(*leaf.shape[:before], -1, leaf.shape[-1]), tree)
            for tree, before in (
                (plus(x, x_bias), 1),
                (carry, 0),
                (constants.initial, 0),
                (inputs.noise, 1),
                (constants.noise, 0),
            )
        )
        mask, resets = (
            None if rows is None else rows.reshape(rows.shape[0], -1, 1)
            for rows in (inputs.mask, inputs.resets)
        )
        weight = core.weight_hh[...].reshape(len(separate), core.hidden_size, -1)
        bias = tuple(b if b is None else b[None] for b in h_bias)
        hidden, fixed = Hidden(weight, bias), Fixed(mask, resets, noise, sequence)
        last, ys = run(kernel, x, hidden, Start(carry, initial), fixed)
        return jax.tree.map(lambda leaf: leaf.reshape(*batch, leaf.shape[-1]), last), jax.tree.map(
            lambda leaf: leaf.reshape(leaf.shape[0], *batch, leaf.shape[-1]), ys
        )


def _hollow(cell: Cell) -> Cell:
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
