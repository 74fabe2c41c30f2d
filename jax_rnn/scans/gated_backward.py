"""The backward pass of the gated scan, the transpose of its tangent rule.

Cotangents pass the steps one by one, from the last. The gradients of weights, biases and inputs are
large products after the loop.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jax_rnn.scans.gated_forward import Run
from jax_rnn.scans.gated_tangent import Saved, mapped, step_of, wide

__all__ = ["backward"]


def backward(run: Run, saved: Saved, cotangents: Any) -> Any:
    """Cotangents of parameters, carries and inputs; the transpose of ``tangent``."""
    params, (_, initial), xs, fixed, kept = saved
    maps, step, inputs = mapped(run, saved), step_of(run, saved), fixed[1]
    first = jax.eval_shape(lambda: _first((maps(wide(params), xs), kept, inputs)))
    leaves, structure = jax.tree.flatten(params)
    (last, outs), used = cotangents, _used(step, first, saved)

    def body(sums, arguments):
        dcarry, dinitial, dsome = sums
        dout, *known = arguments

        def linear(some, *rest):
            dparams = list(map(jnp.zeros_like, leaves))
            for k, leaf in zip(used, some, strict=True):
                dparams[k] = leaf
            return step(known)(structure.unflatten(dparams), *rest)

        pull = jax.linear_transpose(linear, [leaves[k] for k in used], initial, dcarry, first[0])
        some, again, dcarry, dmaps = pull((dcarry, dout))
        dinitial, dsome = jax.tree.map(jnp.add, (dinitial, dsome), (again, wide(some)))
        return (dcarry, dinitial, dsome), dmaps

    zeros = jax.tree.map(jnp.zeros_like, (initial, wide([leaves[k] for k in used])))
    sums, dmaps = lax.scan(
        body, (last, *zeros), (outs, kept, inputs), reverse=not run.reverse, unroll=run.unroll
    )
    dcarry, dinitial, dsome = sums
    dparams, dxs = jax.linear_transpose(maps, wide(params), xs)(dmaps)
    total = jax.tree.leaves(dparams)
    for k, leaf in zip(used, dsome, strict=True):
        total[k] = total[k] + leaf
    total = [t.astype(leaf.dtype) for t, leaf in zip(total, leaves, strict=True)]
    return structure.unflatten(total), (dcarry, dinitial), dxs


def _first(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf[0], tree)


def _used(step: Any, first: Any, saved: Saved) -> list[int]:
    """The numbers of the parameters that the step itself reads, outside the two maps."""

    def of_step(dparams, first):
        dmaps, *known = first
        return step(known)(dparams, saved.carries[1], saved.carries[0], dmaps)

    traced = jax.make_jaxpr(of_step)(saved.params, first).jaxpr
    read = {id(var) for eqn in traced.eqns for var in eqn.invars}
    return [k for k, _ in enumerate(jax.tree.leaves(saved.params)) if id(traced.invars[k]) in read]
