"""The forward pass of the gated scan, which can store what the tangent rule needs."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

from jax_rnn.cells.affine import hidden_product
from jax_rnn.cells.base import check_output
from jax_rnn.cells.gated import GatedCell, Maps
from jax_rnn.cells.wrapper import core_of, main, map_main
from jax_rnn.scans.gates import Gates, biases, by_gate, columns, joined, matmul, plus
from jax_rnn.scans.placement import like
from jax_rnn.scans.sizes import projects_inside
from jax_rnn.scans.step import noise_of, only
from jax_rnn.typing import Array, accumulator

__all__ = ["Kept", "Run", "forward", "update"]


class Run(NamedTuple):
    """The static options of a run."""

    graphdef: Any
    reverse: bool
    unroll: int
    project: str


class Kept(NamedTuple):
    """The arrays that every step stores for the tangent, one per gate.

    On CPU a loop that slices gates from one array of all steps is not vectorised.
    """

    x: Gates
    """The sum of both maps, or the input's map for a separate gate."""
    h: Gates
    """The hidden map of a separate gate, otherwise None."""
    carry: Any
    """The carry before the step, after a reset."""


def forward(
    run: Run, params: Any, carries: Any, xs: Array, fixed: Any, *, keep: bool
) -> tuple[Any, Any]:
    """The last carry and all outputs; with ``keep``, also the arrays for the tangent."""
    (carry, initial), (rest, inputs, shared) = carries, fixed
    cell = nnx.merge(run.graphdef, params, rest)
    core: Any = core_of(cell)
    inside = run.project == "inside" or (
        run.project == "by size" and projects_inside(cell, xs.shape, keep)
    )
    stores_h = not (
        inputs.mask is None and carry.h.dtype == core.dtype and _returns_h(cell, carry, fixed)
    )
    separate = [name in core.separate for name in core.gates]
    x_weight = columns(core.weight_ih)
    x_bias, h_bias = joined(separate, biases(core, core.bias_ih), biases(core, core.bias_hh))
    hidden = _hidden_map(core)

    def body(carry, step):
        x, inputs = step
        before = carry if inputs.resets is None else only(inputs.resets, initial, carry)
        noise = noise_of(inputs.noise, shared)
        x = by_gate(core, matmul(x, x_weight)) if inside else x
        h = by_gate(core, hidden(cell.read(before, noise).astype(core.dtype)))
        x, h = joined(separate, x, h)
        x, h = plus(x, x_bias), plus(h, h_bias)
        new, y = update(cell, x, h, before, noise)
        if run.unroll > 1:  # otherwise XLA on GPU computes steps again to store their outputs
            new, y = lax.optimization_barrier((new, y))
        zero = jax.tree.map(jnp.zeros_like, y)
        new, y = only(inputs.mask, (like(new, carry), y), (carry, zero))
        if not keep:
            return new, (y, None)
        return new, (y, Kept(x, h, before if stores_h else before._replace(h=None)))

    steps: Any = xs if inside else tuple(matmul(xs, w) for w in by_gate(core, x_weight)), inputs
    last, (ys, kept) = lax.scan(body, carry, steps, reverse=run.reverse, unroll=run.unroll)
    if kept is not None and not stores_h:
        y = main(ys)
        h = jnp.concatenate([y[1:], carry.h[None]] if run.reverse else [carry.h[None], y[:-1]])
        if inputs.resets is not None:
            h = only(inputs.resets, jnp.broadcast_to(initial.h, h.shape), h)
        kept = kept._replace(carry=kept.carry._replace(h=h))
    return (last, ys), kept


def update(cell: Any, x: Gates, h: Gates, carry: Any, noise: Any) -> Any:
    """The update of gates whose maps are summed in ``x``, where ``h`` is None."""
    pairs: Any = zip(x, h, strict=True)
    gates = tuple(a if b is None else Maps(a, b) for a, b in pairs)
    new, y = cell.updated(gates, carry, noise)
    check_output(cell, main(y), x[0].shape[:-1])  # pyright: ignore[reportOptionalMemberAccess]
    return new, map_main(lambda y: y.astype(cell.dtype), y)


def _returns_h(cell: Any, carry: Any, fixed: Any) -> bool:
    """Whether the output is the same array as the new hidden state."""
    core: Any = core_of(cell)
    _, inputs, shared = fixed
    noise = jax.tree.map(lambda leaf: leaf[0], inputs.noise)
    shape = (*carry.h.shape[:-1], core.hidden_size)
    gate: Any = jax.ShapeDtypeStruct(shape, accumulator(core.dtype))
    gates = tuple(Maps(gate, gate) if n in core.separate else gate for n in core.gates)
    found = []

    def look(gates, carry):
        new, y = cell.updated(gates, carry, noise_of(noise, shared))
        found.append(main(y) is new.h)
        return y

    jax.eval_shape(look, gates, carry)
    return found[0]


def _hidden_map(core: GatedCell) -> Any:
    """The product with the hidden weight, whose dense form is transposed once."""
    if core.heads == 1:
        transposed = columns(core.weight_hh)
        return lambda h: matmul(h, transposed)
    weight = core.weight_hh[...]
    return lambda h: hidden_product(h, weight, core.hidden_size, core.heads)
