"""The fast scan of every ``GatedCell``: one tangent rule, written from ``update`` alone.

Tangents of inputs, weights and biases pass the two affine maps for all steps at once, outside the
loop; only what flows through the carry goes step by step. JAX transposes the rule into the backward
pass: cotangents run through ``update`` inside the loop, and the gradients of weights, biases and
inputs are large products after it. Forward mode and higher derivatives follow from the same rule.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jax.custom_derivatives import SymbolicZero

from jax_rnn.cells.base import AffineCell, Cell, GatedCell
from jax_rnn.scans.masking import clean, only
from jax_rnn.typing import Array, Bool, CarryT, Float, accumulator

__all__ = ["gated", "serves", "serves_kind"]

IN_LOOP_BYTES = 2**25
"""On CPU, inputs whose projection is larger are projected in the loop, each in its own step."""


def serves(cell: Cell) -> bool:
    """Whether ``gated`` runs the cell: two plain affine maps, an ``update``, all of it real."""
    if not serves_kind(type(cell)):
        return False
    carry = jax.eval_shape(lambda: cell.initialize_carry((cell.input_size,)))
    leaves = jax.tree.leaves((carry, nnx.state(cell, nnx.Param)))
    return all(jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in leaves)


def serves_kind(kind: type[Cell]) -> bool:
    """Whether cells of that class, if all real, are served."""
    if not issubclass(kind, GatedCell):
        return False
    own = (kind.project, kind.recur, kind.by_gate, kind.step)
    return own == (AffineCell.project, AffineCell.recur, AffineCell.by_gate, GatedCell.step)


@partial(jax.jit, static_argnames=("reverse", "unroll"))
def gated(
    cell: GatedCell[CarryT],
    carry: CarryT,
    xs: Float[Array, "T *batch I"],
    *,
    mask: Bool[Array, "T *batch"] | None = None,
    reverse: bool = False,
    unroll: int = 1,
) -> tuple[CarryT, Float[Array, "T *batch O"]]:
    """Run ``cell`` over the leading axis of ``xs``: values and derivatives of ``sequential``.

    For the gradient, a step keeps what ``update`` was given: both affine maps (or their sum, where
    ``update`` reads nothing else of them) and the carry. Its inside is computed again.

    Args, results: those of ``sequential``; the cell is one that gated ``serves``.
    """
    graphdef, params, fixed = nnx.split(cell, _is_float, ...)
    run = _Run(graphdef, reverse, unroll)
    return _scan(run, params, carry, clean(xs, mask), (fixed, mask))


def _is_float(path: Any, leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jnp.floating)


class _Run(NamedTuple):
    """What does not change the type of a run's arrays."""

    graphdef: Any
    reverse: bool
    unroll: int


class _Kept(NamedTuple):
    """What every step keeps for the tangent, an array for each gate.

    On CPU a loop that slices gates out of one array of all steps is not vectorised.
    """

    x: tuple[Float[Array, "T *batch H"], ...]
    h: tuple[Float[Array, "T *batch H"], ...] | None
    """None where x is the sum of both maps."""
    carry: Any


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _scan(run: _Run, params: Any, carry: Any, xs: Any, fixed: Any) -> Any:
    return _forward(run, params, carry, xs, fixed, keep=False)[0]


@partial(_scan.defjvp, symbolic_zeros=True)
def _scan_jvp(run: _Run, primals: Any, tangents: Any) -> Any:
    params, carry, xs, fixed = primals
    out, kept = _forward(run, params, carry, xs, fixed, keep=True)
    return out, _tangent(run, params, xs, fixed, kept, *tangents[:3])


def _forward(
    run: _Run, params: Any, carry: Any, xs: Array, fixed: Any, *, keep: bool
) -> tuple[Any, Any]:
    """The last carry and all outputs; with ``keep``, what the tangent needs of every step."""
    cell = nnx.merge(run.graphdef, params, fixed[0])
    traits = _traits(cell, carry, xs)
    h_is_output = traits.returns_h and fixed[1] is None and carry.h.dtype == cell.dtype
    late = _project_in_loop(cell, xs)
    x_weight, h_weight = _columns(cell.weight_ih), _columns(cell.weight_hh)
    x_bias, h_bias = (_gates(cell, bias) for bias in (cell.bias_ih, cell.bias_hh))

    def body(carry, inputs):
        x, live = inputs
        x = _plus(_gates(cell, _matmul(x, x_weight)) if late else x, x_bias)
        h = _plus(_gates(cell, _matmul(carry.h.astype(cell.dtype), h_weight)), h_bias)
        if traits.reads_sum:
            x, h = _plus(x, h), None
        new, y = _update(cell, x, h, carry)
        new, y = only(live, (new, y), (carry, jnp.zeros_like(y)))
        before = carry._replace(h=None) if h_is_output else carry
        return new, (y, _Kept(x, h, before) if keep else None)

    if not late:
        xs = _gates(cell, _matmul(xs, x_weight))
    last, (ys, kept) = lax.scan(body, carry, (xs, fixed[1]), reverse=run.reverse, unroll=run.unroll)
    if kept is not None and h_is_output:
        h = [ys[1:], carry.h[None]] if run.reverse else [carry.h[None], ys[:-1]]
        kept = kept._replace(carry=kept.carry._replace(h=jnp.concatenate(h)))
    return (last, ys), kept


def _tangent(
    run: _Run, params: Any, xs: Array, fixed: Any, kept: _Kept, dparams: Any, dcarry: Any, dxs: Any
) -> Any:
    """Tangents of the last carry and the outputs, linear in those of what went in."""
    cell = nnx.merge(run.graphdef, params, fixed[0])
    dtype = accumulator(cell.dtype)
    dparams, dcarry = (_instantiate(d) for d in (dparams, dcarry))
    dparams = jax.tree.map(lambda d: d.astype(accumulator(d.dtype)), dparams)
    dcell = nnx.merge(run.graphdef, dparams, fixed[0])
    seen = kept.carry.h.astype(cell.dtype).astype(dtype)
    dx = _biased(_product(xs.astype(dtype), dcell.weight_ih[...]), dcell.bias_ih)
    dh = _biased(_product(seen, dcell.weight_hh[...]), dcell.bias_hh)
    if not isinstance(dxs, SymbolicZero):
        dx = dx + _product(dxs.astype(dtype), cell.weight_ih[...].astype(dtype))
    if kept.h is None:
        dx, dh = dx + dh, None
    weight_hh = cell.weight_hh[...].astype(dtype)

    @partial(jax.checkpoint, prevent_cse=False)
    def body(dcarry, inputs):
        dx, dh, kept, live = inputs
        through = _product(dcarry.h.astype(dtype), weight_hh)
        dx, dh = (dx + through, None) if dh is None else (dx, dh + through)
        dx, dh = lax.optimization_barrier((dx, dh))  # its cotangent is computed once
        dx, dh = _gates(cell, dx), _gates(cell, dh)
        narrow = jax.tree.map(lambda d, p: d.astype(p.dtype), dparams, params)

        def update(params, x, h, carry):
            return _update(nnx.merge(run.graphdef, params, fixed[0]), x, h, carry)

        _, (dnew, dy) = jax.jvp(update, (params, *kept), (narrow, dx, dh, dcarry))
        return only(live, (dnew, dy), (dcarry, jnp.zeros_like(dy)))

    return lax.scan(body, dcarry, (dx, dh, kept, fixed[1]), reverse=run.reverse, unroll=run.unroll)


def _update(cell: GatedCell, x: Any, h: Any, carry: Any) -> Any:
    x = jnp.stack(x, axis=-2)
    new, y = cell.update(x, jnp.zeros_like(x) if h is None else jnp.stack(h, axis=-2), carry)
    return new, y.astype(cell.dtype)


class _Traits(NamedTuple):
    """What an ``update`` can be seen to do."""

    reads_sum: bool
    """It reads its two maps only to add them."""
    returns_h: bool
    """Its output is the new hidden state itself."""


def _traits(cell: GatedCell, carry: Any, xs: Array) -> _Traits:
    gates = (*xs.shape[1:-1], len(cell.gates), cell.hidden_size)
    maps = jax.ShapeDtypeStruct(gates, accumulator(cell.dtype))
    jaxpr = jax.make_jaxpr(cell.update)(maps, maps, carry).jaxpr
    *state, y = jaxpr.outvars
    return _Traits(
        _only_summed(jaxpr, *jaxpr.invars[:2]), state[type(carry)._fields.index("h")] is y
    )


def _only_summed(jaxpr: Any, x: Any, h: Any) -> bool:
    """Whether nothing sees two variables but their sum, or that of their gates one by one."""
    if x in jaxpr.outvars or h in jaxpr.outvars:
        return False
    readers = [eqn for eqn in jaxpr.eqns if x in eqn.invars or h in eqn.invars]
    names = [eqn.primitive.name for eqn in readers]
    if names == ["add"]:
        return {*readers[0].invars} == {x, h}
    if names == ["unstack", "unstack"] and readers[0].params == readers[1].params:
        gates = zip(*(eqn.outvars for eqn in readers), strict=True)
        return all(_only_summed(jaxpr, *pair) for pair in gates)
    return not readers


def _project_in_loop(cell: GatedCell, xs: Array) -> bool:
    rows = xs.size // cell.input_size
    size = rows * len(cell.gates) * cell.hidden_size * accumulator(cell.dtype).itemsize
    return jax.default_backend() == "cpu" and size > IN_LOOP_BYTES


def _columns(weight: nnx.Param) -> Array:
    """The weight transposed here, once, and not in every step."""
    return weight[...].T


def _matmul(x: Array, columns: Array) -> Array:
    return jnp.matmul(x, columns, preferred_element_type=accumulator(columns.dtype))


def _product(x: Array, weight: Array) -> Array:
    """``x W^T`` of two arrays of one dtype."""
    return lax.dot_general(x, weight, (((x.ndim - 1,), (1,)), ((), ())))


def _gates(cell: GatedCell, x: Any) -> Any:
    """The arrays of the gates, which stand side by side in the last axis; None stays None."""
    return None if x is None else tuple(jnp.split(x[...], len(cell.gates), axis=-1))


def _plus(a: Any, b: Any) -> Any:
    """Gate by gate."""
    return a if b is None else tuple(x + y.astype(x.dtype) for x, y in zip(a, b, strict=True))


def _biased(x: Array, bias: Any) -> Array:
    return x if bias is None else x + bias[...].astype(x.dtype)


def _instantiate(tangents: Any) -> Any:
    def zeros(t: Any) -> Any:
        return jnp.zeros(t.shape, t.dtype) if is_zero(t) else t

    def is_zero(t: Any) -> bool:
        return isinstance(t, SymbolicZero)

    return jax.tree.map(zeros, tangents, is_leaf=is_zero)
