"""The recurrence h_t = a_t h_{t-1} + b_t over time, step by step or in parallel."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jax_rnn.typing import Array

__all__ = ["How", "linear_recurrence"]


class How(NamedTuple):
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
def linear_recurrence(how: How, a: Array, b: Array, initial: Array) -> Array:
    """All states, (T, ...), from a and b of the same shape and the state before the first step.

    The tangent is the same recurrence with other b; its transpose, the backward pass, is a single
    recurrence in the other direction, which needs only a and the states.
    """
    return _solve(how, a, b, initial)


@linear_recurrence.defjvp
def _tangent(how: How, primals: Any, tangents: Any) -> tuple[Array, Array]:
    a, b, initial = primals
    da, db, dinitial = tangents
    states = linear_recurrence(how, a, b, initial)
    if how.reverse:
        before = jnp.concatenate([states[1:], initial[None]])
    else:
        before = jnp.concatenate([initial[None], states[:-1]])
    return states, _solve(how, a, da * before + db, dinitial)


def _solve(how: How, a: Array, b: Array, initial: Array) -> Array:
    if how.blocks > 1:
        return _in_blocks(how, a, b, initial)
    if how.parallel:
        end = -1 if how.reverse else 0
        b = b.at[end].add(a[end] * initial)
        return lax.associative_scan(_after, (a, b), reverse=how.reverse)[1]

    def body(h, step):
        a, b = step
        h = a * h + b
        return h, h

    return lax.scan(body, initial, (a, b), reverse=how.reverse)[1]


def _after(first: tuple[Array, Array], second: tuple[Array, Array]) -> tuple[Array, Array]:
    """The map h -> a h + b of the first steps, then of the second."""
    return first[0] * second[0], second[0] * first[1] + second[1]


def _in_blocks(how: How, a: Array, b: Array, initial: Array) -> Array:
    """Every block starts from zero; then the state before it is added, times the product of a."""
    total = a.shape[0]
    missing = -total % how.blocks
    if missing:  # steps that change nothing, after the last
        ones, zeros = jnp.ones((missing, *a.shape[1:]), a.dtype), jnp.zeros_like(b[:missing])
        where = (lambda new, old: (new, old)) if how.reverse else (lambda new, old: (old, new))
        a, b = jnp.concatenate(where(ones, a)), jnp.concatenate(where(zeros, b))

    def split(x):
        return x.reshape(how.blocks, -1, *x.shape[1:])

    a, b = split(a), split(b)
    alone = how._replace(blocks=1)
    states = jax.vmap(lambda a, b: _solve(alone, a, b, jnp.zeros_like(b[0])))(a, b)
    products = jax.vmap(partial(lax.associative_scan, jnp.multiply, reverse=how.reverse))(a)
    end = 0 if how.reverse else -1
    ends = _solve(alone._replace(parallel=False), products[:, end], states[:, end], initial)
    if how.reverse:
        before = jnp.concatenate([ends[1:], initial[None]])
    else:
        before = jnp.concatenate([initial[None], ends[:-1]])
    states = (states + products * before[:, None]).reshape(-1, *a.shape[2:])
    return states[missing:] if how.reverse else states[:total]
