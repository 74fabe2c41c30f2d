"""Gated cells on a TPU: all steps in one kernel, derived from ``update``."""

from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp

from jax_rnn.base.arguments import check_count
from jax_rnn.base.typing import CarryT, is_symbolic
from jax_rnn.cells.base import Cell
from jax_rnn.scans.base import Constants, Inputs, Scan, Unsupported
from jax_rnn.scans.gated import Gated
from jax_rnn.scans.gates import biases, by_gate, columns, joined, matmul, plus
from jax_rnn.scans.placement import is_explicit
from jax_rnn.scans.sequential import Sequential
from jax_rnn.scans.sizes import rows_of, steps_of
from jax_rnn.scans.tpu_cells import emptied, why_not
from jax_rnn.scans.tpu_memory import MIB, Limits
from jax_rnn.scans.tpu_steps import Fixed, Hidden, Kernel, Start, run

__all__ = ["Tpu"]


@dataclass(frozen=True)
class Tpu(Scan):
    r"""All steps of a ``GatedCell`` in one kernel for a TPU, also in wrappers.

    The hidden weight is copied to the fast memory of a core (VMEM) once, and the carry never leaves
    it. The input's map of all steps is a product before the kernel. The backward pass is a second
    kernel, which differentiates ``update`` step by step; the gradients of the weights are products
    after it. Values and gradients are those of ``Sequential``.

    It has been compiled for TPU v5e and v6e, and its steps compared with ``Sequential`` on a CPU,
    but **it has not yet run on a TPU**, so that ``scan="auto"`` never chooses it. Its name is
    ``"tpu"``. On other devices JAX interprets the kernel, operation by operation, which is slow:
    it is meant for testing a cell.

    A cell must have a dense hidden map (``heads=1``), fields of the carry (\*batch, K) of floats,
    float32 or bfloat16 parameters, and an ``update`` that computes with gates, carry and random
    numbers alone, without parameters, arrays or context. The gradient is a first derivative in
    reverse mode: JAX refuses forward mode, and second derivatives are refused too. On several
    devices, call the layer in ``jax.shard_map(..., check_vma=False)``. Inputs of symbolic sizes,
    and empty ones, run on ``Sequential``.

    Products have the precision of ``jax.default_matmul_precision``; with bfloat16 weights their
    operands are bfloat16, in the backward pass too. Sums and carries are float32.

    A program of the kernel runs a few steps of a block of rows. The blocks are (steps, rows, H) for
    every gate, with nothing padded in H. With rows = ceil8(B) (bfloat16 outputs: ceil16), lines =
    ceil128(H), G gates of which A are separate, F fields of the carry, and w bytes for a weight,
    VMEM holds, if all fields have H features,

    .. math::
        G \cdot H \cdot lines \cdot w
        + 4 \cdot rows \cdot lines \cdot ((2 \cdot steps + 1)(2 G + A + F + 1) + 4 F)

    bytes in the forward pass of training, and 2 A in place of A in the backward pass; without a
    gradient it is G + 1 in place of 2 G + A + F + 1. Masks, resets, random numbers, returned states
    and biases of separate gates add their own blocks.

    Args:
        batch_block: int, rows of a block, a multiple of 8, or of 16 for bfloat16; None (default) is
            the whole batch.
        steps: int, steps of a program; the largest divisor of T up to it is taken. None (default)
            is up to 8, as many as fit.
        vmem: int, MiB of VMEM that a kernel may use; 96 by default, of the 128 of v5e and v6e.
        interpret: bool, whether JAX interprets the kernel, without limits of memory and dtype; None
            (default) is on every device but a TPU.

    Raises:
        TypeError, ValueError: an option that is not a count of this kind; when it is called, arrays
            of another dtype, or blocks that do not fit. NotImplementedError: a second derivative.
    """

    batch_block: int | None = None
    steps: int | None = None
    vmem: int = 96
    interpret: bool | None = None

    def __post_init__(self):
        for name in ("batch_block", "steps", "vmem"):
            if getattr(self, name) is not None or name == "vmem":
                check_count(f"Tpu.{name}", getattr(self, name))
        if self.batch_block is not None and self.batch_block % 8:
            raise ValueError(f"Tpu.batch_block: expected a multiple of 8, got {self.batch_block}")

    def supports(self, cell: Cell) -> bool | Unsupported:
        return Gated().supports(cell) and why_not(cell)

    def suits(self, cell: Cell, shape: Any, platform: str) -> bool:
        return False

    def resolved(self, cell: Cell, shape: Any, platform: str) -> Scan:
        size = steps_of(cell, shape) * rows_of(cell, shape)
        if is_symbolic(size) or size == 0:
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
        self._check(cell)

        def rows(tree: Any, before: int) -> Any:
            """The arrays with one axis for the batch, after ``before`` others."""
            return jax.tree.map(lambda leaf: _rows(leaf, before, batch), tree)

        def split(tree: Any) -> Any:
            return jax.tree.map(lambda a: a.reshape(*a.shape[:-2], *batch, a.shape[-1]), tree)

        flags = jax.tree.map(lambda leaf: leaf[..., None], (inputs.mask, inputs.resets))
        mask, resets, noise = rows((*flags, inputs.noise), 1)
        fixed = Fixed(mask, resets, noise, rows(constants.noise, 0))
        separate = [name in core.separate for name in core.gates]
        x_bias, h_bias = joined(separate, biases(core, core.bias_ih), biases(core, core.bias_hh))
        x = tuple(matmul(inputs.x, w) for w in by_gate(core, columns(core.weight_ih)))
        weight = core.weight_hh[...].reshape(len(separate), core.hidden_size, -1)
        hidden = Hidden(weight, tuple(b if b is None else b[None] for b in h_bias))
        limits = Limits(self.batch_block, self.steps, self.vmem * MIB, bool(self.interpret))
        kernel = Kernel(emptied(cell), reverse, constants.states, limits)
        start = Start(*rows((carry, constants.initial), 0))
        return split(run(kernel, rows(plus(x, x_bias), 1), hidden, start, fixed))

    def _check(self, cell: Any) -> None:
        """Check what depends on the devices."""
        dtype, block = cell.dtype, self.batch_block
        if is_explicit():
            raise ValueError(
                "Tpu: expected a mesh whose axes are not explicit, got "
                f"{jax.sharding.get_abstract_mesh()}; call the layer in jax.shard_map(..., "
                "check_vma=False), or use scan='auto'"
            )
        if self.interpret:
            return
        if dtype not in (jnp.float32, jnp.bfloat16):
            raise ValueError(
                f"Tpu: expected a cell of float32 or bfloat16, got {dtype}; Tpu(interpret=True) "
                "runs it slowly, scan='auto' as fast as its dtype allows"
            )
        if block is not None and block % 16 and dtype == jnp.bfloat16:
            raise ValueError(f"Tpu.batch_block: expected a multiple of 16 for {dtype}, got {block}")


def _rows(leaf: Any, before: int, batch: tuple[int, ...]) -> Any:
    if leaf.shape[before:-1] != batch:
        raise ValueError(
            f"Tpu: expected random numbers and carries of one axis for each row, of shape "
            f"{(*leaf.shape[:before], *batch)} + (K,), got {leaf.shape}; use scan='auto'"
        )
    return leaf.reshape(*leaf.shape[:before], -1, leaf.shape[-1])
