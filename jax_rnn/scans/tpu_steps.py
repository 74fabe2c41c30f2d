"""The steps of a gated cell and their derivative, as kernels for a TPU.

The backward pass differentiates ``update`` inside its kernel, at the gates and the carry that every
step of the forward pass has stored. The gradient of the hidden weight is a product of all steps
after it.
"""

from functools import partial, reduce
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jax_rnn.base.typing import Array, accumulator
from jax_rnn.scans.gated_forward import Residuals, update
from jax_rnn.scans.gates import Gates, joined, matmul, plus
from jax_rnn.scans.step import noise_of, over_time, where_rows
from jax_rnn.scans.tpu_loop import loop
from jax_rnn.scans.tpu_memory import Limits

__all__ = ["Fixed", "Hidden", "Kernel", "Start", "run"]


class Kernel(NamedTuple):
    """What a kernel is made of; the cell has shapes in place of parameters."""

    cell: Any
    reverse: bool
    states: bool
    limits: Limits


class Hidden(NamedTuple):
    """The map of the hidden state."""

    weight: Array
    """(G, H, O)."""
    bias: Gates
    """(1, H) for a separate gate that has one, else None."""


class Start(NamedTuple):
    """The carries before the first step, and after a reset."""

    carry: Any
    initial: Any


class Fixed(NamedTuple):
    """Arrays without derivatives."""

    mask: Any
    """(T, B, 1), like the resets."""
    resets: Any
    noise: Any
    sequence: Any
    """The random numbers of the sequence, (B, K)."""


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def run(kernel: Kernel, x: Gates, hidden: Hidden, start: Start, fixed: Fixed) -> Any:
    """The last carry and the outputs of all steps, given the input's map of all steps."""
    return _forward(kernel, x, hidden, start, fixed, keep=False)[:2]


def _forward(
    kernel: Kernel, x: Gates, hidden: Hidden, start: Start, fixed: Fixed, keep: bool
) -> tuple[Any, Any, Any]:
    cell, core = kernel.cell, kernel.cell._core()
    separate = [name in core.separate for name in core.gates]

    def step(carry: Any, inputs: Any, rows: Any, weights: Any) -> Any:
        x, fixed = inputs
        initial, sequence = rows
        before = carry if fixed.resets is None else where_rows(fixed.resets, initial, carry)
        noise = noise_of(fixed.noise, sequence)
        read = cell._read(before, noise, None).astype(cell.dtype)
        h = tuple(matmul(read, weights.weight[k]) for k in range(len(x)))
        x, h = joined(separate, x, h)
        h = plus(h, jax.tree.map(lambda b: b[...], weights.bias))
        new, y = update(cell, x, h, before, noise, None)
        outputs = (y, new) if kernel.states else y
        zero = jax.tree.map(jnp.zeros_like, outputs)
        new, outputs = where_rows(fixed.mask, (new, outputs), (carry, zero))
        return new, (outputs, Residuals(x, h, before) if keep else None)

    last, (ys, kept) = loop(
        step,
        start.carry,
        (x, fixed._replace(sequence=None)),
        (start.initial, fixed.sequence),
        hidden._replace(weight=jnp.swapaxes(hidden.weight, 1, 2)),
        reverse=kernel.reverse,
        limits=kernel.limits,
        name=_name(kernel),
    )
    return last, ys, kept


def _run_fwd(kernel: Kernel, x: Gates, hidden: Hidden, start: Start, fixed: Fixed) -> Any:
    last, ys, kept = _forward(kernel, x, hidden, start, fixed, keep=True)
    return (last, ys), (kept, hidden, fixed)


def _run_bwd(kernel: Kernel, residuals: Any, cotangents: Any) -> Any:
    kept, hidden, fixed = residuals
    cell = kernel.cell

    def read(noise: Any, carry: Any) -> Array:
        return cell._read(carry, noise, None)

    def step(carry: Any, inputs: Any, sequence: Any, weight: Any) -> Any:
        dcarry, dinitial = carry
        dout, kept, fixed = inputs
        noise = noise_of(fixed.noise, sequence)

        def updated(x: Gates, h: Gates, carry: Any) -> Any:
            new, y = update(cell, x, h, carry, noise, None)
            return new, (y, new) if kernel.states else y

        zero = jax.tree.map(jnp.zeros_like, (dcarry, dout))
        dnew, rest = dcarry, zero[0]
        if fixed.mask is not None:
            (dnew, dout) = where_rows(fixed.mask, (dcarry, dout), zero)
            rest = where_rows(fixed.mask, zero[0], dcarry)
        dx, dh, dbefore = jax.vjp(updated, *kept)[1]((dnew, dout))
        maps = enumerate(_of_hidden(dx, dh))
        dread = reduce(jnp.add, (matmul(d.astype(cell.dtype), weight[k]) for k, d in maps))
        value, pull = jax.vjp(partial(read, noise), kept.carry)
        dbefore = _sum(dbefore, pull(dread.astype(value.dtype))[0])
        if fixed.resets is not None:
            dinitial = _sum(dinitial, where_rows(fixed.resets, dbefore, zero[0]))
            dbefore = where_rows(fixed.resets, zero[0], dbefore)
        return (_sum(rest, dbefore), dinitial), (dx, dh)

    last, dys = cotangents
    dinitial = None if fixed.resets is None else jax.tree.map(jnp.zeros_like, last)
    xs = dys, kept, fixed._replace(sequence=None)
    start, (dx, dh) = loop(
        step,
        (last, dinitial),
        xs,
        fixed.sequence,
        hidden.weight,
        reverse=not kernel.reverse,
        limits=kernel.limits,
        name=f"gradient of {_name(kernel)}",
    )
    reads = over_time(read, fixed.noise, fixed.sequence, kept.carry).astype(cell.dtype)
    reads = reads.astype(accumulator(cell.dtype))
    dweight = jnp.stack([_over_steps(d, reads) for d in _of_hidden(dx, dh)])
    pairs = zip(hidden.bias, dh, strict=True)
    dbias = tuple(None if b is None else d.sum((0, 1))[None] for b, d in pairs)
    return dx, Hidden(dweight.astype(cell.dtype), dbias), Start(*start), None


run.defvjp(_run_fwd, _run_bwd)


def _name(kernel: Kernel) -> str:
    return type(kernel.cell._core()).__name__


def _of_hidden(dx: Gates, dh: Gates) -> tuple[Any, ...]:
    """The cotangents of the hidden map, which are those of the sum unless a gate is separate."""
    return tuple(a if b is None else b for a, b in zip(dx, dh, strict=True))


def _over_steps(d: Array, read: Array) -> Array:
    """The gradient of a weight, (H, O), the sum over all steps and rows."""
    return lax.dot_general(d, read, (((0, 1), (0, 1)), ((), ())))


def _sum(a: Any, b: Any) -> Any:
    return jax.tree.map(jnp.add, a, b)
