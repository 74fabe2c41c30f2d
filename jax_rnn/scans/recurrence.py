"""The recurrence h_t = a_t h_{t-1} + b_t over time, step by step or in parallel.

A coefficient a has the shape of b, or holds a small matrix for every vector in the last axis of b.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jax_rnn.base.typing import Array
from jax_rnn.cells.linear import product, product_of_two

__all__ = ["Plan", "linear_recurrence", "times"]


class Plan(NamedTuple):
    """How the recurrence is computed.

    Attributes:
        parallel: as an associative scan, with a number of operations in sequence that grows with
            the logarithm of T, instead of a loop.
        blocks: divide T into so many blocks that are computed side by side, e.g. on devices.
        reverse: from the last step to the first.
    """

    parallel: bool
    blocks: int
    reverse: bool


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def linear_recurrence(plan: Plan, a: Array, b: Array, initial: Array) -> Array:
    """All states, (T, ...), from a and b and the state before the first step.

    The tangent is the same recurrence with other b; its transpose, the backward pass, is a single
    recurrence in the other direction, which needs only a and the states.
    """
    return _solve(plan, a, b, initial)


@linear_recurrence.defjvp
def _tangent(plan: Plan, primals: Any, tangents: Any) -> tuple[Array, Array]:
    a, b, initial = primals
    da, db, dinitial = tangents
    states = linear_recurrence(plan, a, b, initial)
    if plan.reverse:
        before = jnp.concatenate([states[1:], initial[None]])
    else:
        before = jnp.concatenate([initial[None], states[:-1]])
    return states, _solve(plan, a, times(da, before) + db, dinitial)


def _solve(plan: Plan, a: Array, b: Array, initial: Array) -> Array:
    if plan.blocks > 1:
        return _in_blocks(plan, a, b, initial)
    if plan.parallel:
        end = -1 if plan.reverse else 0
        b = b.at[end].add(times(a[end], initial))
        return lax.associative_scan(_after, (a, b), reverse=plan.reverse)[1]

    def body(h, step):
        a, b = step
        h = times(a, h) + b
        return h, h

    return lax.scan(body, initial, (a, b), reverse=plan.reverse)[1]


def times(a: Array, h: Array) -> Array:
    """The product of coefficients with states: elementwise, or of matrices with vectors."""
    return a * h if a.ndim == h.ndim else product(a, h)


def _after(first: tuple[Array, Array], second: tuple[Array, Array]) -> tuple[Array, Array]:
    """The map h -> a h + b of the first steps, then of the second."""
    return _composed(first, second), times(second[0], first[1]) + second[1]


def _composed(first: tuple[Array, Array], second: tuple[Array, Array]) -> Array:
    """The coefficients of the first steps, then of the second."""
    a, b = second[0], first[0]
    if a.ndim == first[1].ndim:
        return a * b
    return product_of_two(a, b)


def _in_blocks(plan: Plan, a: Array, b: Array, initial: Array) -> Array:
    """Every block starts from zero; then the state before it is added, times the product of a."""
    total = a.shape[0]
    missing = -total % plan.blocks
    if missing:  # steps that change nothing, after the last
        unit = jnp.ones((), a.dtype) if a.ndim == b.ndim else jnp.eye(a.shape[-1], dtype=a.dtype)
        ones = jnp.broadcast_to(unit, (missing, *a.shape[1:]))
        where = (lambda new, old: (new, old)) if plan.reverse else (lambda new, old: (old, new))
        zeros = jnp.zeros((missing, *b.shape[1:]), b.dtype)
        a, b = jnp.concatenate(where(ones, a)), jnp.concatenate(where(zeros, b))

    def split(x):
        return x.reshape(plan.blocks, -1, *x.shape[1:])

    def block(a: Array, b: Array) -> tuple[Array, Array]:
        """The states of a block from zero, and the products of its coefficients."""
        products, _ = lax.associative_scan(_after, (a, jnp.zeros_like(b)), reverse=plan.reverse)
        return _solve(alone, a, b, jnp.zeros_like(b[0])), products

    a, b = split(a), split(b)
    alone = plan._replace(blocks=1)
    states, products = jax.vmap(block)(a, b)
    end = 0 if plan.reverse else -1
    ends = _solve(alone._replace(parallel=False), products[:, end], states[:, end], initial)
    if plan.reverse:
        before = jnp.concatenate([ends[1:], initial[None]])
    else:
        before = jnp.concatenate([initial[None], ends[:-1]])
    added = times(products, jnp.broadcast_to(before[:, None], states.shape))
    states = (states + added).reshape(-1, *b.shape[2:])
    return states[missing:] if plan.reverse else states[:total]
