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
from flax import nnx
from jax import lax
from jax.custom_derivatives import SymbolicZero

from jax_rnn.cells.affine import hidden_product
from jax_rnn.cells.wrapper import core_of
from jax_rnn.scans.gated_forward import Kept, Run, update
from jax_rnn.scans.gates import Gates, biased, product, rows, weighed, widened
from jax_rnn.scans.placement import is_explicit, like
from jax_rnn.scans.step import noise_of, only
from jax_rnn.typing import Array, accumulator

__all__ = ["tangent"]


def tangent(
    run: Run,
    params: Any,
    xs: Array,
    fixed: Any,
    carries: Any,
    kept: Kept,
    dparams: Any,
    dcarries: Any,
    dxs: Any,
) -> Any:
    """Tangents of the last carry and the outputs, linear in the tangents of the inputs."""
    rest, inputs, shared = fixed
    cell = nnx.merge(run.graphdef, params, rest)
    core: Any = core_of(cell)
    dparams, dcarries = _instantiate(dparams, params), _instantiate(dcarries, carries)
    dparams = jax.tree.map(lambda d: d.astype(accumulator(d.dtype)), dparams)
    dcell = nnx.merge(run.graphdef, dparams, rest)
    dcarry, dinitial = dcarries
    summed, separate = _order(kept)
    dx, dh = _maps(cell, dcell, xs, dxs, kept, noise_of(inputs.noise, shared))
    dtype = accumulator(core.dtype)
    weight_hh = rows(core, core.weight_hh, summed + separate).astype(dtype)

    @partial(jax.checkpoint, prevent_cse=False)
    def body(dcarry, step):
        dx, dh, kept, inputs = step
        noise = noise_of(inputs.noise, shared)
        dbefore = dcarry if inputs.resets is None else only(inputs.resets, dinitial, dcarry)
        _, dread = jax.jvp(lambda carry: cell.read(carry, noise), (kept.carry,), (dbefore,))
        dh = dh + hidden_product(dread.astype(dtype), weight_hh, core.hidden_size, core.heads)
        dx, dh = lax.optimization_barrier((dx, dh))  # its cotangent is computed once
        x, h = _by_gate(summed, separate, dx, dh)
        narrow = jax.tree.map(lambda d, p: d.astype(p.dtype), dparams, params)

        def updated(params, x, h, carry):
            return update(nnx.merge(run.graphdef, params, rest), x, h, carry, noise)

        _, (dnew, dy) = jax.jvp(updated, (params, *kept), (narrow, x, h, dbefore))
        zero = jax.tree.map(jnp.zeros_like, dy)
        return only(inputs.mask, (like(dnew, dcarry), dy), (dcarry, zero))

    steps = (dx, dh, kept, inputs)
    return lax.scan(body, dcarry, steps, reverse=run.reverse, unroll=run.unroll)


def _order(kept: Kept) -> tuple[list[int], list[int]]:
    """The numbers of the gates that read the sum of both maps, and those of the separate ones.

    A gate of the first kind has one tangent, that of the sum. In the tangent of the hidden map
    these gates come first, so that their part is contiguous.
    """
    summed = [k for k, h in enumerate(kept.h) if h is None]
    return summed, [k for k, h in enumerate(kept.h) if h is not None]


def _maps(
    cell: Any, dcell: Any, xs: Array, dxs: Any, kept: Kept, noise: Any
) -> tuple[Array | None, Array]:
    """Tangents of both maps in all steps, except for that of the carry.

    The first is that of the input's map of the separate gates; the second is that of the hidden
    map, to which the input's map of the other gates is added.
    """
    core: Any = core_of(cell)
    dcore: Any = core_of(dcell)
    dtype = accumulator(core.dtype)
    summed, separate = _order(kept)

    def flat(x):
        """Merge to two axes: on CPU, the transpose of a product over more axes is not fused."""
        x = x.astype(dtype)
        return x if is_explicit() else x.reshape(-1, x.shape[-1])

    def x_map(gates):
        weight, bias = (rows(core, p, gates) for p in (dcore.weight_ih, dcore.bias_ih))
        dx = biased(weighed(flat(xs), weight), bias)
        if isinstance(dxs, SymbolicZero):
            return dx
        return dx + product(flat(dxs), rows(core, core.weight_ih, gates).astype(dtype))

    order = summed + separate
    weight, bias = (rows(core, p, order) for p in (dcore.weight_hh, dcore.bias_hh))
    read = flat(cell.read(kept.carry, noise).astype(core.dtype))
    if core.heads == 1:
        dh = weighed(read, weight)
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
    """The tangents of both maps of a step, in the order of the gates and the form of ``Kept``."""
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
