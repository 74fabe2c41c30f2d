"""The fast scan of every ``GatedCell``: one tangent rule, derived from ``update``.

Tangents of inputs, weights and biases are mapped for all steps at once, outside the loop; only
tangents of the carry are computed step by step. JAX transposes the rule into the backward pass:
cotangents pass ``update`` inside the loop, and the gradients of weights, biases and inputs are
large products after it. Forward mode and higher derivatives follow from the same rule.
"""

import math
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jax.custom_derivatives import SymbolicZero

from jax_rnn.cells.base import AffineCell, Cell, GatedCell, added, check_output
from jax_rnn.scans.masking import clean, only
from jax_rnn.scans.placement import is_explicit, like
from jax_rnn.typing import Array, Bool, CarryT, Float, Size, accumulator, is_symbolic

__all__ = ["gated", "supports", "supports_kind"]

Gates = tuple[Array | None, ...]
"""A map, one (*batch, H) per gate, or its bias, (H,)."""

IN_LOOP_BYTES = 2**25
"""On CPU, inputs whose projection is larger are projected step by step in the loop.

A symbolic number of steps or rows counts as large.
"""

IN_LOOP_WEIGHT_BYTES = (400_000, 2_600_000)
"""If steps are stored for the gradient, this also applies to cells of several gates whose input
weight has this size, about that of a core's cache, and batches of at least some rows."""

SOME_ROWS = 4


def supports(cell: Cell) -> bool:
    """Whether ``gated`` supports the cell: two affine maps and an ``update``, all real."""
    if not supports_kind(type(cell)):
        return False
    carry = jax.eval_shape(lambda: cell.initialize_carry((cell.input_size,)))
    leaves = jax.tree.leaves((carry, nnx.state(cell, nnx.Param)))
    return all(jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in leaves)


def supports_kind(kind: type[Cell]) -> bool:
    """Whether ``gated`` supports cells of this class, if parameters and carries are real."""
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

    For the gradient, a step stores the arguments of ``update``: the carry and both affine maps, or
    only their sum for every gate of which ``update`` reads nothing else. ``update`` is recomputed.

    Args and results: as for ``sequential``; the cell must be supported, see ``supports``.
    """
    graphdef, params, fixed = nnx.split(cell, _is_float, ...)
    run = _Run(graphdef, reverse, unroll)
    return _scan(run, params, carry, clean(xs, mask), (fixed, mask))


def _is_float(path: Any, leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jnp.floating)


class _Run(NamedTuple):
    """The static options of a run."""

    graphdef: Any
    reverse: bool
    unroll: int


class _Kept(NamedTuple):
    """The arrays that every step stores for the tangent, one per gate.

    On CPU a loop that slices gates from one array of all steps is not vectorised.
    """

    x: Gates
    """The input's map, or the sum of both maps if ``update`` reads only the sum."""
    h: Gates
    """The hidden map; None where x is the sum."""
    carry: Any


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _scan(run: _Run, params: Any, carry: Any, xs: Any, fixed: Any) -> Any:
    return _forward(run, params, carry, xs, fixed, keep=False)[0]


@partial(_scan.defjvp, symbolic_zeros=True)
def _scan_jvp(run: _Run, primals: Any, tangents: Any) -> Any:
    params, carry, xs, fixed = primals
    out, kept = _forward(run, params, carry, xs, fixed, keep=True)
    return out, _tangent(run, params, xs, fixed, carry, kept, *tangents[:3])


def _forward(
    run: _Run, params: Any, carry: Any, xs: Array, fixed: Any, *, keep: bool
) -> tuple[Any, Any]:
    """The last carry and all outputs; with ``keep``, also the arrays for the tangent."""
    cell = nnx.merge(run.graphdef, params, fixed[0])
    steps = partial(_steps, run, _traits(cell, carry, xs), keep)
    if not _project_in_loop(cell, xs.shape, keep):
        return steps(False, params, carry, xs, fixed)
    late, early = partial(steps, True), partial(steps, False)
    return lax.platform_dependent(params, carry, xs, fixed, cpu=late, default=early)


def _steps(
    run: _Run,
    traits: "_Traits",
    keep: bool,
    late: bool,
    params: Any,
    carry: Any,
    xs: Any,
    fixed: Any,
) -> tuple[Any, Any]:
    """``_forward`` with the inputs projected in the loop (``late``) or before it."""
    cell = nnx.merge(run.graphdef, params, fixed[0])
    h_is_output = traits.returns_h and fixed[1] is None and carry.h.dtype == cell.dtype
    x_weight, h_weight = _columns(cell.weight_ih), _columns(cell.weight_hh)
    x_bias, h_bias = _joined(
        traits.summed, _biases(cell, cell.bias_ih), _biases(cell, cell.bias_hh)
    )

    def body(carry, inputs):
        x, live = inputs
        x = _gates(cell, _matmul(x, x_weight)) if late else x
        h = _gates(cell, _matmul(carry.h.astype(cell.dtype), h_weight))
        x, h = _joined(traits.summed, x, h)
        x, h = _plus(x, x_bias), _plus(h, h_bias)
        new, y = _update(cell, x, h, carry)
        new, y = only(live, (like(new, carry), y), (carry, jnp.zeros_like(y)))
        before = carry._replace(h=None) if h_is_output else carry
        return new, (y, _Kept(x, h, before) if keep else None)

    inputs: Any = xs if late else tuple(_matmul(xs, w) for w in _gates(cell, x_weight)), fixed[1]
    last, (ys, kept) = lax.scan(body, carry, inputs, reverse=run.reverse, unroll=run.unroll)
    if kept is not None and h_is_output:
        h = [ys[1:], carry.h[None]] if run.reverse else [carry.h[None], ys[:-1]]
        kept = kept._replace(carry=kept.carry._replace(h=jnp.concatenate(h)))
    return (last, ys), kept


def _tangent(
    run: _Run,
    params: Any,
    xs: Array,
    fixed: Any,
    carry: Any,
    kept: _Kept,
    dparams: Any,
    dcarry: Any,
    dxs: Any,
) -> Any:
    """Tangents of the last carry and the outputs, linear in the tangents of the inputs.

    A gate of which ``update`` reads only the sum of both maps has one tangent, that of the sum.
    These gates come first, so that their part of the tangent of the hidden map is contiguous.
    """
    cell = nnx.merge(run.graphdef, params, fixed[0])
    dtype = accumulator(cell.dtype)
    dparams, dcarry = _instantiate(dparams, params), _instantiate(dcarry, carry)
    dparams = jax.tree.map(lambda d: d.astype(accumulator(d.dtype)), dparams)
    dcell = nnx.merge(run.graphdef, dparams, fixed[0])
    summed = [k for k, h in enumerate(kept.h) if h is None]
    separate = [k for k, h in enumerate(kept.h) if h is not None]
    order = summed + separate

    def flat(x):
        """Merge to two axes: on CPU, the transpose of a product over more axes is not fused."""
        x = x.astype(dtype)
        return x if is_explicit() else x.reshape(-1, x.shape[-1])

    def x_map(gates):
        weight, bias = (_rows(cell, p, gates) for p in (dcell.weight_ih, dcell.bias_ih))
        dx = _biased(_weighed(flat(xs), weight), bias)
        if isinstance(dxs, SymbolicZero):
            return dx
        return dx + _product(flat(dxs), _rows(cell, cell.weight_ih, gates).astype(dtype))

    weight, bias = (_rows(cell, p, order) for p in (dcell.weight_hh, dcell.bias_hh))
    dh = _biased(_weighed(flat(kept.carry.h.astype(cell.dtype)), weight), bias)
    if summed:
        dh = dh + _widened(x_map(summed), dh.shape[-1])
    dx = x_map(separate) if separate else None
    dx, dh = jax.tree.map(lambda d: d.reshape(*xs.shape[:-1], d.shape[-1]), (dx, dh))
    weight_hh = _rows(cell, cell.weight_hh, order).astype(dtype)

    @partial(jax.checkpoint, prevent_cse=False)
    def body(dcarry, inputs):
        dx, dh, kept, live = inputs
        dh = dh + _product(dcarry.h.astype(dtype), weight_hh)
        dx, dh = lax.optimization_barrier((dx, dh))  # its cotangent is computed once
        dh = dict(zip(order, jnp.split(dh, len(order), axis=-1), strict=True))
        dx = (
            dict(zip(separate, jnp.split(dx, len(separate), axis=-1), strict=True))
            if separate
            else {}
        )
        x = tuple(dx[k] if k in dx else dh[k] for k in range(len(order)))
        h = tuple(dh[k] if k in dx else None for k in range(len(order)))
        narrow = jax.tree.map(lambda d, p: d.astype(p.dtype), dparams, params)

        def update(params, x, h, carry):
            return _update(nnx.merge(run.graphdef, params, fixed[0]), x, h, carry)

        _, (dnew, dy) = jax.jvp(update, (params, *kept), (narrow, x, h, dcarry))
        return only(live, (like(dnew, dcarry), dy), (dcarry, jnp.zeros_like(dy)))

    return lax.scan(body, dcarry, (dx, dh, kept, fixed[1]), reverse=run.reverse, unroll=run.unroll)


def _update(cell: GatedCell, x: Any, h: Any, carry: Any) -> Any:
    h = tuple(jnp.zeros_like(a) if b is None else b for a, b in zip(x, h, strict=True))
    new, y = cell.update(jnp.stack(x, axis=-2), jnp.stack(h, axis=-2), carry)
    check_output(cell, y, x[0].shape[:-1])
    return new, y.astype(cell.dtype)


class _Traits(NamedTuple):
    """Properties of an ``update``, found in its jaxpr."""

    summed: tuple[bool, ...]
    """Per gate, whether only the sum of the two maps is used."""
    returns_h: bool
    """Whether its output is the new hidden state."""


def _traits(cell: GatedCell, carry: Any, xs: Array) -> _Traits:
    gates = (*xs.shape[1:-1], len(cell.gates), cell.hidden_size)
    maps = jax.ShapeDtypeStruct(gates, accumulator(cell.dtype))
    jaxpr = jax.make_jaxpr(cell.update)(maps, maps, carry).jaxpr
    *state, y = jaxpr.outvars
    return _Traits(_summed(jaxpr, len(cell.gates)), state[type(carry)._fields.index("h")] is y)


def _summed(jaxpr: Any, gates: int) -> tuple[bool, ...]:
    """Both maps may be added as a whole, or gate by gate."""
    x, h = jaxpr.invars[:2]
    params = {"axis": x.aval.ndim - 2}
    readers = _readers(jaxpr, x, h)
    seen = any(v in jaxpr.outvars for v in (x, h))
    if (
        not seen
        and [eqn.primitive.name for eqn in readers] == ["unstack", "unstack"]
        and all(eqn.params == params for eqn in readers)
    ):
        pairs = zip(*(eqn.outvars for eqn in readers), strict=True)
        return tuple(_only_summed(jaxpr, *pair) for pair in pairs)
    return (_only_summed(jaxpr, x, h),) * gates


def _only_summed(jaxpr: Any, x: Any, h: Any) -> bool:
    """Whether two variables are used only in their sum."""
    readers = _readers(jaxpr, x, h)
    adds = (eqn.primitive.name == "add" and eqn.invars in ([x, h], [h, x]) for eqn in readers)
    return all(adds) and not any(v in jaxpr.outvars for v in (x, h))


def _readers(jaxpr: Any, *variables: Any) -> list[Any]:
    return [eqn for eqn in jaxpr.eqns if any(v in eqn.invars for v in variables)]


def _project_in_loop(cell: GatedCell, shape: tuple[Size, ...], keep: bool) -> bool:
    """Whether inputs are projected in the loop on a CPU; other devices project before it."""
    steps, *batch, _ = shape
    rows, width = math.prod(batch), len(cell.gates) * cell.hidden_size
    size = steps * rows * width * accumulator(cell.dtype).itemsize
    if is_symbolic(size) or size > IN_LOOP_BYTES:
        return True
    least, most = IN_LOOP_WEIGHT_BYTES
    fits = least <= cell.weight_ih[...].nbytes <= most
    return keep and fits and len(cell.gates) > 1 and rows >= SOME_ROWS


def _columns(weight: nnx.Param) -> Array:
    """The weight, transposed once and not in every step."""
    return weight[...].T


def _matmul(x: Array, columns: Array) -> Array:
    return jnp.matmul(x, columns, preferred_element_type=accumulator(columns.dtype))


def _product(x: Array, weight: Array) -> Array:
    """``x W^T`` of two arrays of one dtype."""
    return lax.dot_general(x, weight, (((x.ndim - 1,), (1,)), ((), ())))


def _weighed(x: Array, weight: Array) -> Array:
    """``x W^T``, whose transpose makes the gradient of W from ``x^T`` times the cotangent.

    This is up to 1.5 times faster on CPU; the barrier prevents XLA from undoing it.
    """
    return jnp.matmul(x, lax.optimization_barrier(weight.T))


def _rows(cell: GatedCell, weight: Any, gates: list[int]) -> Any:
    """The rows of some gates, stacked; None stays None."""
    if weight is None or gates == [*range(len(cell.gates))]:
        return weight if weight is None else weight[...]
    blocks = jnp.split(weight[...], len(cell.gates))
    return jnp.concatenate([blocks[k] for k in gates])


def _widened(x: Array, size: int) -> Array:
    """Append zeros to the last axis."""
    widths = [(0, 0, 0)] * (x.ndim - 1) + [(0, size - x.shape[-1], 0)]
    return lax.pad(x, jnp.zeros((), x.dtype), widths)


def _gates(cell: GatedCell, x: Array) -> tuple[Array, ...]:
    """The arrays of the gates, which are concatenated in the last axis."""
    return tuple(jnp.split(x, len(cell.gates), axis=-1))


def _biases(cell: GatedCell, bias: nnx.Param | None) -> Gates:
    if bias is None:
        return (None,) * len(cell.gates)
    return _gates(cell, bias[...].astype(accumulator(cell.dtype)))


def _joined(summed: tuple[bool, ...], x: Gates, h: Gates) -> tuple[Gates, Gates]:
    """Replace x by the sum of both maps and h by None, for gates that read only the sum."""
    joined = tuple(_sum(a, b) if s else a for a, b, s in zip(x, h, summed, strict=True))
    return joined, tuple(None if s else b for b, s in zip(h, summed, strict=True))


def _plus(a: Gates, b: Gates) -> Gates:
    """Apply a function gate by gate."""
    return tuple(map(_sum, a, b))


def _sum(a: Array | None, b: Array | None) -> Array | None:
    return None if a is None else a if b is None else added(a, b)


def _biased(x: Array, bias: Array | None) -> Array:
    return x if bias is None else added(x, bias.astype(x.dtype))


def _instantiate(tangents: Any, primals: Any) -> Any:
    def is_zero(t: Any) -> bool:
        return isinstance(t, SymbolicZero)

    def zeros(t: Any, p: Any) -> Any:
        return jnp.zeros_like(p, t.dtype) if is_zero(t) else t

    return jax.tree.map(zeros, tangents, primals, is_leaf=is_zero)
