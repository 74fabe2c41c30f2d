"""The forward pass of the gated scan, which can store what the tangent rule needs."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

from jax_rnn.base.typing import Array, accumulator, combined
from jax_rnn.cells.affine import hidden_product
from jax_rnn.cells.gated import GatedCell, Maps
from jax_rnn.scans.base import Constants, Inputs
from jax_rnn.scans.gates import Gates, biases, by_gate, columns, joined, matmul, plus
from jax_rnn.scans.kept import Kept, Residuals, packed
from jax_rnn.scans.placement import like
from jax_rnn.scans.step import noise_of, where_rows

__all__ = ["Run", "forward", "merged", "reads_h", "update"]


class Run(NamedTuple):
    """The static options of a run."""

    graphdef: Any
    reverse: bool
    unroll: int
    inside: tuple[bool, bool]
    """Whether inputs are projected in the loop, without and with storing steps."""
    packed: bool
    """Whether a step stores arrays of one shape as one array."""


def forward(
    run: Run, params: Any, carries: Any, xs: Array, fixed: Any, *, keep: bool
) -> tuple[Any, Any]:
    """The last carry and all outputs; with ``keep``, also what the derivatives need."""
    (carry, initial), (inputs, constants) = carries, fixed[1:]
    cell, context = merged(run, params, fixed)
    core: Any = cell._core()
    inside = run.inside[keep]
    stores_h = not (
        inputs.mask is None
        and carry.h.dtype == core.dtype
        and _returns_h(cell, carry, inputs, constants, context)
    )
    separate = [name in core.separate for name in core.gates]
    x_weight = columns(core.weight_ih)
    x_bias, h_bias = joined(separate, biases(core, core.bias_ih), biases(core, core.bias_hh))
    hidden = _hidden_map(core)

    def body(carry, step):
        x, inputs = step
        before = carry if inputs.resets is None else where_rows(inputs.resets, initial, carry)
        noise = noise_of(inputs.noise, constants.noise)
        x = by_gate(core, matmul(x, x_weight)) if inside else x
        h = by_gate(core, hidden(cell._read(before, noise, context).astype(core.dtype)))
        x, h = joined(separate, x, h)
        x, h = plus(x, x_bias), plus(h, h_bias)
        new, y = update(cell, x, h, before, noise, context)
        if run.unroll > 1:  # otherwise XLA on GPU computes steps again to store their outputs
            new, y = lax.optimization_barrier((new, y))
        outputs = (y, new) if constants.states else y
        zero = jax.tree.map(jnp.zeros_like, outputs)
        new, outputs = where_rows(inputs.mask, (like(new, carry), outputs), (carry, zero))
        if not keep:
            return new, (outputs, None)
        stored = Residuals(x, h, before if stores_h else before._replace(h=None))
        return new, (outputs, packed(stored) if run.packed else stored)

    steps: Any = xs if inside else tuple(matmul(xs, w) for w in by_gate(core, x_weight)), inputs
    last, (ys, kept) = lax.scan(body, carry, steps, reverse=run.reverse, unroll=run.unroll)
    if kept is None:
        return (last, ys), None
    if stores_h:
        return (last, ys), Kept(kept, None)
    y = ys[0] if constants.states else ys
    h = jnp.concatenate([y[1:], carry.h[None]] if run.reverse else [carry.h[None], y[:-1]])
    if inputs.resets is not None:
        h = where_rows(inputs.resets, jnp.broadcast_to(initial.h, h.shape), h)
    return (last, ys), Kept(kept, h)


def merged(run: Run, params: Any, fixed: Any) -> tuple[Any, Any]:
    """The cell and the context, of which ``params`` are the floats and ``fixed`` the rest."""
    own, context = params
    return nnx.merge(run.graphdef, own, fixed[0]), combined(context, fixed[2].context)


def update(cell: Any, x: Gates, h: Gates, carry: Any, noise: Any, context: Any) -> Any:
    """The update of gates whose maps are summed in ``x``, where ``h`` is None."""
    pairs: Any = zip(x, h, strict=True)
    gates = tuple(a if b is None else Maps(a, b) for a, b in pairs)
    return cell._core()._update_inside(cell, gates, carry, noise, context)


def reads_h(cell: Any, carry: Any, inputs: Inputs, constants: Constants) -> bool:
    """Whether the hidden map reads h of the carry itself."""
    found = []

    def look(noise, carry, constants):
        noise = noise_of(noise, constants.noise)
        found.append(cell._read(carry, noise, constants.context) is carry.h)

    jax.eval_shape(look, jax.tree.map(lambda leaf: leaf[0], inputs.noise), carry, constants)
    return found[0]


def _returns_h(cell: Any, carry: Any, inputs: Inputs, constants: Constants, context: Any) -> bool:
    """Whether the output is the same array as the new hidden state."""
    core: Any = cell._core()
    shape = (*carry.h.shape[:-1], core.hidden_size)
    gate: Any = jax.ShapeDtypeStruct(shape, accumulator(core.dtype))
    gates = tuple(Maps(gate, gate) if n in core.separate else gate for n in core.gates)
    found = []

    def look(gates, carry, noise):
        noise = noise_of(noise, constants.noise)
        new, y = core._update_inside(cell, gates, carry, noise, context)
        found.append(y is new.h)

    jax.eval_shape(look, gates, carry, jax.tree.map(lambda leaf: leaf[0], inputs.noise))
    return found[0]


def _hidden_map(core: GatedCell) -> Any:
    """The product with the hidden weight, whose dense form is transposed once."""
    if core.heads == 1:
        transposed = columns(core.weight_hh)
        return lambda h: matmul(h, transposed)
    weight = core.weight_hh[...]
    return lambda h: hidden_product(h, weight, core.hidden_size, core.heads)
