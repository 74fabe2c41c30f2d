"""The fast scan of every ``GatedCell``: one tangent rule, derived from ``update``.

Tangents of inputs, weights and biases are mapped for all steps at once, outside the loop; only
tangents of the carry are computed step by step. JAX transposes the rule into the backward pass:
cotangents pass ``update`` inside the loop, and the gradients of weights, biases and inputs are
large products after it. Forward mode and higher derivatives follow from the same rule.
"""

import math
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jax.custom_derivatives import SymbolicZero

from jax_rnn.cells.affine import added, hidden_product
from jax_rnn.cells.base import Cell, check_output
from jax_rnn.cells.gated import GatedCell, Maps, is_gated
from jax_rnn.cells.wrapper import before, changes_read, core_of, main, map_main
from jax_rnn.scans.base import Constants, Inputs, Scan, check_options, finished, noise_of
from jax_rnn.scans.masking import only
from jax_rnn.scans.placement import is_explicit, like
from jax_rnn.scans.sizes import is_tiny
from jax_rnn.typing import Array, CarryT, Size, accumulator, is_symbolic

__all__ = ["Gated", "projects_inside"]

Gates = tuple[Array | None, ...]
"""A map, one (*batch, H) per gate, or its bias, (H,)."""

UNROLL = {"cuda": 4, "rocm": 4}
"""Steps per iteration of the loop on a platform, for sequences of at least ``LONG`` steps; else 1.

A GPU launches a kernel for every operation of an iteration. Kernels and copies a step of LSTM and
GRU of size (32, 128, 256, 256), compiled for an H100, and seconds of CPU for the compilation:

    steps per iteration       1     4     8
    forward                   4   2.5  2.25
    forward and backward     15   7.5  6.25
    compilation             1.3   2.3   3.8
"""

LONG = 16

IN_LOOP_BYTES = 2**25
"""On CPU, inputs whose projection is larger are projected step by step in the loop.

A symbolic number of steps or rows counts as large.
"""

IN_LOOP_WEIGHT_BYTES = (400_000, 2_600_000)
"""If steps are stored for the gradient, this also applies to cells of several gates whose input
weight has this size, about that of a core's cache, and batches of at least some rows."""

CHANGED_READ_BYTES = 700_000
"""The smallest such weight if a wrapper changes the argument of the hidden map. That product then
waits for the change, and competes with the one of the inputs."""

SOME_ROWS = 4


@dataclass(frozen=True)
class Gated(Scan):
    """The fast scan of a ``GatedCell``, also in wrappers; values and derivatives of ``Sequential``.

    For the gradient, a step stores the arguments of ``update``: the carry and the gates. ``update``
    is recomputed.

    Args:
        unroll: int, steps per iteration of the loop; None (default) is chosen by platform.
        project: where the inputs are projected: ``"before"`` the loop, for all steps at once, or
            ``"inside"``, step by step, which needs less memory; ``"auto"`` (default) chooses by
            platform and size.
    """

    unroll: int | None = None
    project: str = "auto"

    requires: ClassVar[str] = (
        "a GatedCell that writes update and leaves project, recur and step as they are"
    )

    def __post_init__(self):
        check_options(self, "by size")  # what "auto" becomes on a CPU

    def supports(self, cell: Cell) -> bool:
        if not is_gated(core_of(cell)):
            return False
        carry = jax.eval_shape(lambda: cell.initialize_carry((cell.input_size,)))
        leaves = jax.tree.leaves((carry, nnx.state(cell, nnx.Param)))
        return all(jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in leaves)

    def suits(self, cell: Cell, shape: tuple[Size, ...], platform: str) -> bool:
        return not is_tiny(cell, shape) and self.supports(cell)

    def tuned(self, cell: Cell, shape: tuple[Size, ...], platform: str) -> "Gated":
        steps, unroll, project = shape[0], self.unroll, self.project
        if is_symbolic(steps):
            unroll = 1
        elif unroll is None:
            unroll = UNROLL.get(platform, 1) if steps >= LONG else 1
        if project == "auto":
            project = "by size" if platform == "cpu" else "before"
            if project == "by size" and not any(
                projects_inside(cell, shape, keep) for keep in (False, True)
            ):
                project = "before"
        return replace(self, unroll=unroll, project=project)

    def __call__(
        self,
        cell: Cell[CarryT],
        carry: CarryT,
        inputs: Inputs,
        constants: Constants,
        *,
        reverse: bool = False,
    ) -> tuple[CarryT, Any]:
        graphdef, params, fixed = nnx.split(cell, _is_float, ...)
        run = _Run(graphdef, reverse, self.unroll or 1, self.project)
        x = before(cell, inputs.x, constants.noise)
        rest = (fixed, inputs._replace(x=None), constants.noise)
        carry, ys = _scan(run, params, (carry, constants.initial), x, rest)
        return carry, finished(cell, ys, inputs)


def _is_float(path: Any, leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jnp.floating)


class _Run(NamedTuple):
    """The static options of a run."""

    graphdef: Any
    reverse: bool
    unroll: int
    project: str


class _Kept(NamedTuple):
    """The arrays that every step stores for the tangent, one per gate.

    On CPU a loop that slices gates from one array of all steps is not vectorised.
    """

    x: Gates
    """The sum of both maps, or the input's map for a separate gate."""
    h: Gates
    """The hidden map of a separate gate, otherwise None."""
    carry: Any
    """The carry before the step, after a reset."""


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _scan(run: _Run, params: Any, carries: Any, xs: Any, fixed: Any) -> Any:
    return _forward(run, params, carries, xs, fixed, keep=False)[0]


@partial(_scan.defjvp, symbolic_zeros=True)
def _scan_jvp(run: _Run, primals: Any, tangents: Any) -> Any:
    params, carries, xs, fixed = primals
    out, kept = _forward(run, params, carries, xs, fixed, keep=True)
    return out, _tangent(run, params, xs, fixed, carries, kept, *tangents[:3])


def _forward(
    run: _Run, params: Any, carries: Any, xs: Array, fixed: Any, *, keep: bool
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
    x_weight = _columns(core.weight_ih)
    x_bias, h_bias = _joined(separate, _biases(core, core.bias_ih), _biases(core, core.bias_hh))
    hidden = _hidden_map(core)

    def body(carry, step):
        x, inputs = step
        before = carry if inputs.resets is None else only(inputs.resets, initial, carry)
        noise = noise_of(inputs.noise, shared)
        x = _gates(core, _matmul(x, x_weight)) if inside else x
        h = _gates(core, hidden(cell.read(before, noise).astype(core.dtype)))
        x, h = _joined(separate, x, h)
        x, h = _plus(x, x_bias), _plus(h, h_bias)
        new, y = _update(cell, x, h, before, noise)
        if run.unroll > 1:  # otherwise XLA on GPU computes steps again to store their outputs
            new, y = lax.optimization_barrier((new, y))
        zero = jax.tree.map(jnp.zeros_like, y)
        new, y = only(inputs.mask, (like(new, carry), y), (carry, zero))
        if not keep:
            return new, (y, None)
        return new, (y, _Kept(x, h, before if stores_h else before._replace(h=None)))

    steps: Any = xs if inside else tuple(_matmul(xs, w) for w in _gates(core, x_weight)), inputs
    last, (ys, kept) = lax.scan(body, carry, steps, reverse=run.reverse, unroll=run.unroll)
    if kept is not None and not stores_h:
        y = main(ys)
        h = jnp.concatenate([y[1:], carry.h[None]] if run.reverse else [carry.h[None], y[:-1]])
        if inputs.resets is not None:
            h = only(inputs.resets, jnp.broadcast_to(initial.h, h.shape), h)
        kept = kept._replace(carry=kept.carry._replace(h=h))
    return (last, ys), kept


def _tangent(
    run: _Run,
    params: Any,
    xs: Array,
    fixed: Any,
    carries: Any,
    kept: _Kept,
    dparams: Any,
    dcarries: Any,
    dxs: Any,
) -> Any:
    """Tangents of the last carry and the outputs, linear in the tangents of the inputs.

    A gate that reads the sum of both maps has one tangent, that of the sum. These gates come first,
    so that their part of the tangent of the hidden map is contiguous.
    """
    rest, inputs, shared = fixed
    cell = nnx.merge(run.graphdef, params, rest)
    core: Any = core_of(cell)
    dtype = accumulator(core.dtype)
    dparams, dcarries = _instantiate(dparams, params), _instantiate(dcarries, carries)
    dparams = jax.tree.map(lambda d: d.astype(accumulator(d.dtype)), dparams)
    dcore: Any = core_of(nnx.merge(run.graphdef, dparams, rest))
    dcarry, dinitial = dcarries
    summed = [k for k, h in enumerate(kept.h) if h is None]
    separate = [k for k, h in enumerate(kept.h) if h is not None]
    order = summed + separate

    def flat(x):
        """Merge to two axes: on CPU, the transpose of a product over more axes is not fused."""
        x = x.astype(dtype)
        return x if is_explicit() else x.reshape(-1, x.shape[-1])

    def x_map(gates):
        weight, bias = (_rows(core, p, gates) for p in (dcore.weight_ih, dcore.bias_ih))
        dx = _biased(_weighed(flat(xs), weight), bias)
        if isinstance(dxs, SymbolicZero):
            return dx
        return dx + _product(flat(dxs), _rows(core, core.weight_ih, gates).astype(dtype))

    weight, bias = (_rows(core, p, order) for p in (dcore.weight_hh, dcore.bias_hh))
    read = flat(cell.read(kept.carry, noise_of(inputs.noise, shared)).astype(core.dtype))
    if core.heads == 1:
        dh = _weighed(read, weight)
    else:
        dh = hidden_product(read, weight, core.hidden_size, core.heads)
    dh = _biased(dh, bias)
    if summed:
        dh = dh + _widened(x_map(summed), dh.shape[-1])
    dx = x_map(separate) if separate else None
    dx, dh = jax.tree.map(lambda d: d.reshape(*xs.shape[:-1], d.shape[-1]), (dx, dh))
    weight_hh = _rows(core, core.weight_hh, order).astype(dtype)

    @partial(jax.checkpoint, prevent_cse=False)
    def body(dcarry, step):
        dx, dh, kept, inputs = step
        noise = noise_of(inputs.noise, shared)
        dbefore = dcarry if inputs.resets is None else only(inputs.resets, dinitial, dcarry)
        _, dread = jax.jvp(lambda carry: cell.read(carry, noise), (kept.carry,), (dbefore,))
        dh = dh + hidden_product(dread.astype(dtype), weight_hh, core.hidden_size, core.heads)
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
            return _update(nnx.merge(run.graphdef, params, rest), x, h, carry, noise)

        _, (dnew, dy) = jax.jvp(update, (params, *kept), (narrow, x, h, dbefore))
        zero = jax.tree.map(jnp.zeros_like, dy)
        return only(inputs.mask, (like(dnew, dcarry), dy), (dcarry, zero))

    steps = (dx, dh, kept, inputs)
    return lax.scan(body, dcarry, steps, reverse=run.reverse, unroll=run.unroll)


def _update(cell: Any, x: Gates, h: Gates, carry: Any, noise: Any) -> Any:
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
        columns = _columns(core.weight_hh)
        return lambda h: _matmul(h, columns)
    weight = core.weight_hh[...]
    return lambda h: hidden_product(h, weight, core.hidden_size, core.heads)


def projects_inside(cell: Cell, shape: tuple[Size, ...], keep: bool) -> bool:
    """Whether inputs of a gated cell, also in wrappers, are projected in the loop on a CPU."""
    core: Any = core_of(cell)
    steps, *batch, _ = shape
    rows, width = math.prod(batch), len(core.gates) * core.hidden_size
    size = steps * rows * width * accumulator(core.dtype).itemsize
    if is_symbolic(size) or size > IN_LOOP_BYTES:
        return True
    least, most = IN_LOOP_WEIGHT_BYTES
    least = CHANGED_READ_BYTES if changes_read(cell) else least
    weight = core.weight_ih
    fits = least <= math.prod(weight.shape) * weight.dtype.itemsize <= most
    return keep and fits and len(core.gates) > 1 and rows >= SOME_ROWS


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


def _joined(separate: list[bool], x: Gates, h: Gates) -> tuple[Gates, Gates]:
    """Replace x by the sum of both maps and h by None, unless the gate is separate."""
    joined = tuple(a if s else _sum(a, b) for a, b, s in zip(x, h, separate, strict=True))
    return joined, tuple(b if s else None for b, s in zip(h, separate, strict=True))


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
