"""The tangent rule of the gated scan, derived from ``update``.

Tangents of inputs, weights and biases are mapped for all steps at once, outside the loop; only
tangents of the carry are computed step by step. Forward mode and higher derivatives follow from
this rule, and the backward pass is its transpose.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero

from jax_rnn.base.typing import Array, accumulator
from jax_rnn.cells.affine import hidden_product
from jax_rnn.scans.gated_forward import Run, merged, update
from jax_rnn.scans.gates import Gates, biased, product, rows, weighted, widened
from jax_rnn.scans.kept import Kept
from jax_rnn.scans.placement import is_explicit, like
from jax_rnn.scans.step import noise_of, over_time, where_rows

__all__ = ["Saved", "mapped", "step_of", "tangent", "wide"]


class Saved(NamedTuple):
    """What the derivatives read: the arguments of the scan, and what its steps stored."""

    params: Any
    carries: Any
    xs: Array
    fixed: Any
    kept: Kept


def tangent(run: Run, saved: Saved, tangents: Any) -> Any:
    """Tangents of the last carry and the outputs, from those of parameters, carries and inputs."""
    dparams, dcarries, dxs = tangents
    dparams, dcarries = _filled(dparams, saved.params), _filled(dcarries, saved.carries)
    step = step_of(run, saved)

    @partial(jax.checkpoint, prevent_cse=False)
    def body(dcarry, arguments):
        dmaps, *known = arguments
        return step(known)(dparams, dcarries[1], dcarry, dmaps)

    steps = (mapped(run, saved)(wide(dparams), dxs), saved.kept, saved.fixed[1])
    return lax.scan(body, dcarries[0], steps, reverse=run.reverse, unroll=run.unroll)


def step_of(run: Run, saved: Saved) -> Callable[[Any], Callable[..., Any]]:
    """The tangent of a step: from what the step stored and reads to a linear function.

    That function maps the tangents of the parameters, the carry after a reset, the carry and both
    maps to those of the new carry and the outputs.
    """
    params, fixed, constants = saved.params, saved.fixed, saved.fixed[2]
    core: Any = merged(run, params, fixed)[0]._core()
    summed, separate = _order(core)
    dtype = accumulator(core.dtype)
    weight_hh = rows(core, core.weight_hh, summed + separate).astype(dtype)

    def step(known: Any) -> Callable[..., Any]:
        kept, inputs = known[0].residuals(), known[1]
        noise = noise_of(inputs.noise, constants.noise)

        def read(params, carry):
            cell, context = merged(run, params, fixed)
            return cell._read(carry, noise, context)

        def updated(params, x, h, carry):
            cell, context = merged(run, params, fixed)
            new, y = update(cell, x, h, carry, noise, context)
            return new, (y, new) if constants.states else y

        def linear(dparams, dinitial, dcarry, dmaps):
            dx, dh = dmaps
            dbefore = dcarry
            if inputs.resets is not None:
                dbefore = where_rows(inputs.resets, dinitial, dcarry)
            _, dread = jax.jvp(read, (params, kept.carry), (dparams, dbefore))
            dh = dh + hidden_product(dread.astype(dtype), weight_hh, core.hidden_size, core.heads)
            dx, dh = lax.optimization_barrier((dx, dh))  # its cotangent is computed once
            x, h = _by_gate(summed, separate, dx, dh)
            _, (dnew, dout) = jax.jvp(updated, (params, *kept), (dparams, x, h, dbefore))
            zero = jax.tree.map(jnp.zeros_like, dout)
            return where_rows(inputs.mask, (like(dnew, dcarry), dout), (dcarry, zero))

        return linear

    return step


def wide(tree: Any) -> Any:
    """The same arrays in the dtypes of their sums."""
    return jax.tree.map(lambda leaf: leaf.astype(accumulator(leaf.dtype)), tree)


def mapped(run: Run, saved: Saved) -> Callable[[Any, Any], tuple[Array | None, Array]]:
    """The tangents of both maps in all steps, linear in those of the parameters and the inputs.

    The first is that of the input's map of the separate gates; the second is that of the hidden
    map, to which the input's map of the other gates is added. That of the carry is missing.
    """
    params, _, xs, fixed, kept = saved
    cell, context = merged(run, params, fixed)
    core: Any = cell._core()
    dtype = accumulator(core.dtype)
    summed, separate = _order(core)

    def flat(x):
        """Merge to two axes: on CPU, the transpose of a product over more axes is not fused."""
        x = x.astype(dtype)
        return x if is_explicit() else x.reshape(-1, x.shape[-1])

    def read(noise, carry):
        return cell._read(carry, noise, context)

    h = flat(
        over_time(read, fixed[1].noise, fixed[2].noise, kept.residuals(axis=1).carry).astype(
            core.dtype
        )
    )

    def linear(dparams, dxs):
        dcore: Any = merged(run, dparams, fixed)[0]._core()

        def x_map(gates):
            weight, bias = (rows(core, p, gates) for p in (dcore.weight_ih, dcore.bias_ih))
            dx = biased(weighted(flat(xs), weight), bias)
            if isinstance(dxs, SymbolicZero):
                return dx
            return dx + product(flat(dxs), rows(core, core.weight_ih, gates).astype(dtype))

        order = summed + separate
        weight, bias = (rows(core, p, order) for p in (dcore.weight_hh, dcore.bias_hh))
        if core.heads == 1:
            dh = weighted(h, weight)
        else:
            dh = hidden_product(h, weight, core.hidden_size, core.heads)
        dh = biased(dh, bias)
        if summed:
            dh = dh + widened(x_map(summed), dh.shape[-1])
        dx = x_map(separate) if separate else None
        return jax.tree.map(lambda d: d.reshape(*xs.shape[:-1], d.shape[-1]), (dx, dh))

    return linear


def _order(core: Any) -> tuple[list[int], list[int]]:
    """The numbers of the gates that read the sum of both maps, and those of the separate ones.

    A gate of the first kind has one tangent, that of the sum. In the tangent of the hidden map
    these gates come first, so that their part is contiguous.
    """
    summed = [k for k, name in enumerate(core.gates) if name not in core.separate]
    return summed, [k for k, name in enumerate(core.gates) if name in core.separate]


def _by_gate(
    summed: list[int], separate: list[int], dx: Array | None, dh: Array
) -> tuple[Gates, Gates]:
    """The tangents of both maps of a step, in the order of the gates, as in ``Residuals``."""
    order = summed + separate
    of_h = dict(zip(order, jnp.split(dh, len(order), axis=-1), strict=True))
    of_x: dict[int, Array] = {}
    if dx is not None:
        of_x = dict(zip(separate, jnp.split(dx, len(separate), axis=-1), strict=True))
    x = tuple(of_x[k] if k in of_x else of_h[k] for k in range(len(order)))
    return x, tuple(of_h[k] if k in of_x else None for k in range(len(order)))


def _filled(tangents: Any, primals: Any) -> Any:
    """The tangents with zeros, of the dtypes of the primals, where there are none."""

    def is_zero(t: Any) -> bool:
        return isinstance(t, SymbolicZero)

    def zeros(t: Any, p: Any) -> Any:
        return jnp.zeros_like(p) if is_zero(t) else t

    return jax.tree.map(zeros, tangents, primals, is_leaf=is_zero)
