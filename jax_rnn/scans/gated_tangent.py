"""The tangent rule of the gated scan, derived from ``update``.

Tangents of inputs, weights and biases are mapped for all steps at once, outside the loop; only
tangents of the carry are computed step by step. JAX transposes the rule into the backward pass:
cotangents pass ``update`` inside the loop, and the gradients of weights, biases and inputs are
large products after it. Forward mode and higher derivatives follow from the same rule.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero

from jax_rnn.base.typing import Array, accumulator
from jax_rnn.cells.affine import hidden_product
from jax_rnn.scans.gated_forward import Residuals, Run, merged, update
from jax_rnn.scans.gates import Gates, biased, product, rows, weighted, widened
from jax_rnn.scans.placement import is_explicit, like
from jax_rnn.scans.step import noise_of, over_time, where_rows

__all__ = ["tangent"]


def tangent(
    run: Run,
    params: Any,
    xs: Array,
    fixed: Any,
    carries: Any,
    kept: Residuals,
    dparams: Any,
    dcarries: Any,
    dxs: Any,
) -> Any:
    """Tangents of the last carry and the outputs, linear in the tangents of the inputs."""
    inputs, constants = fixed[1:]
    cell, _ = merged(run, params, fixed)
    core: Any = cell._core()
    dparams, dcarries = _instantiate(dparams, params), _instantiate(dcarries, carries)
    dparams = jax.tree.map(lambda d: d.astype(accumulator(d.dtype)), dparams)
    dcell, _ = merged(run, dparams, fixed)
    dcarry, dinitial = dcarries
    summed, separate = _order(kept)
    dx, dh = _maps(cell, dcell, xs, dxs, kept, _read_all(run, params, fixed, kept))
    dtype = accumulator(core.dtype)
    weight_hh = rows(core, core.weight_hh, summed + separate).astype(dtype)

    @partial(jax.checkpoint, prevent_cse=False)
    def body(dcarry, step):
        dx, dh, kept, inputs = step
        noise = noise_of(inputs.noise, constants.noise)
        dbefore = dcarry if inputs.resets is None else where_rows(inputs.resets, dinitial, dcarry)
        narrow = jax.tree.map(lambda d, p: d.astype(p.dtype), dparams, params)

        def read(params, carry):
            cell, context = merged(run, params, fixed)
            return cell._read(carry, noise, context)

        def updated(params, x, h, carry):
            cell, context = merged(run, params, fixed)
            new, y = update(cell, x, h, carry, noise, context)
            return new, (y, new) if constants.states else y

        _, dread = jax.jvp(read, (params, kept.carry), (narrow, dbefore))
        dh = dh + hidden_product(dread.astype(dtype), weight_hh, core.hidden_size, core.heads)
        dx, dh = lax.optimization_barrier((dx, dh))  # its cotangent is computed once
        x, h = _by_gate(summed, separate, dx, dh)
        _, (dnew, dy) = jax.jvp(updated, (params, *kept), (narrow, x, h, dbefore))
        zero = jax.tree.map(jnp.zeros_like, dy)
        return where_rows(inputs.mask, (like(dnew, dcarry), dy), (dcarry, zero))

    steps = (dx, dh, kept, inputs)
    return lax.scan(body, dcarry, steps, reverse=run.reverse, unroll=run.unroll)


def _read_all(run: Run, params: Any, fixed: Any, kept: Residuals) -> Array:
    """The argument of the hidden map in all steps."""
    cell, context = merged(run, params, fixed)

    def read(noise, carry):
        return cell._read(carry, noise, context)

    return over_time(read, fixed[1].noise, fixed[2].noise, kept.carry)


def _order(kept: Residuals) -> tuple[list[int], list[int]]:
    """The numbers of the gates that read the sum of both maps, and those of the separate ones.

    A gate of the first kind has one tangent, that of the sum. In the tangent of the hidden map
    these gates come first, so that their part is contiguous.
    """
    summed = [k for k, h in enumerate(kept.h) if h is None]
    return summed, [k for k, h in enumerate(kept.h) if h is not None]


def _maps(
    cell: Any, dcell: Any, xs: Array, dxs: Any, kept: Residuals, read: Array
) -> tuple[Array | None, Array]:
    """Tangents of both maps in all steps, except for that of the carry.

    The first is that of the input's map of the separate gates; the second is that of the hidden
    map, to which the input's map of the other gates is added.
    """
    core, dcore = cell._core(), dcell._core()
    dtype = accumulator(core.dtype)
    summed, separate = _order(kept)

    def flat(x):
        """Merge to two axes: on CPU, the transpose of a product over more axes is not fused."""
        x = x.astype(dtype)
        return x if is_explicit() else x.reshape(-1, x.shape[-1])

    def x_map(gates):
        weight, bias = (rows(core, p, gates) for p in (dcore.weight_ih, dcore.bias_ih))
        dx = biased(weighted(flat(xs), weight), bias)
        if isinstance(dxs, SymbolicZero):
            return dx
        return dx + product(flat(dxs), rows(core, core.weight_ih, gates).astype(dtype))

    order = summed + separate
    weight, bias = (rows(core, p, order) for p in (dcore.weight_hh, dcore.bias_hh))
    read = flat(read.astype(core.dtype))
    if core.heads == 1:
        dh = weighted(read, weight)
    else:
        dh = hidden_product(read, weight, core.hidden_size, core.heads)
    dh = biased(dh, bias)
    if summed:
        dh = dh + widened(x_map(summed), dh.shape[-1])
    dx = x_map(separate) if separate else None
    return jax.tree.map(lambda d: d.reshape(*xs.shape[:-1], d.shape[-1]), (dx, dh))


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


def _instantiate(tangents: Any, primals: Any) -> Any:
    def is_zero(t: Any) -> bool:
        return isinstance(t, SymbolicZero)

    def zeros(t: Any, p: Any) -> Any:
        return jnp.zeros_like(p, t.dtype) if is_zero(t) else t

    return jax.tree.map(zeros, tangents, primals, is_leaf=is_zero)
