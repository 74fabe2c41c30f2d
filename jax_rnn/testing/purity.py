"""Checks that a call depends on its arguments only, also when it is compiled."""

from typing import Any

import numpy as np
from flax import nnx

from jax_rnn.cells.inputs import shape_of
from jax_rnn.testing.advice import HASHABLE, PURE
from jax_rnn.testing.candidate import Candidate, Wrong, agree, at, named, outcome, snapshot
from jax_rnn.testing.compiled import compiled

__all__ = ["one_compilation", "purity", "trace"]


def purity(c: Candidate) -> None:
    def call():
        carry = c.cell.initialize_carry(shape_of(c.example(c.batch)))
        x = at(c.xs, 0)
        return named((carry, c.projected(x), c.cell(c.carry, x, c.context)))

    call()  # attributes that the first call sets and later calls do not change are allowed
    attributes, variables = snapshot(c.cell)
    first = call()
    attributes_after, variables_after = snapshot(c.cell)
    changed = [k for k in variables_after if not _same(variables.get(k), variables_after[k])]
    if changed:
        raise Wrong(f"a call that changed {', '.join(changed)}", PURE)
    if attributes != attributes_after:
        raise Wrong("a call that changed an attribute of the cell", PURE)
    second = call()
    if any(not _same(first[k], second[k]) for k in first):
        raise Wrong(
            "another result from a second call with the same arguments",
            PURE + ", and pass random numbers with the input",
        )


def _same(a: Any, b: Any) -> bool:
    return a is not None and np.array_equal(a, b)


def trace(c: Candidate) -> None:
    try:
        hash(nnx.graphdef(c.cell))
    except TypeError as error:
        raise Wrong(f"attributes that jax.jit cannot hash: {error}", HASHABLE) from error
    written = []

    @compiled
    def step(state, carry, x):
        cell = nnx.merge(nnx.graphdef(c.cell), state)
        before = named(nnx.state(cell))
        out = outcome(*cell(carry, x, c.context))
        after = named(nnx.state(cell))
        written.extend(name for name in after if after[name] is not before.get(name))
        return out

    traced = step(nnx.state(c.cell), c.carry, at(c.xs, 0))
    if written:
        raise Wrong(f"a traced call that changed {', '.join(written)}", PURE)
    agree(
        traced,
        outcome(*c.cell(c.carry, at(c.xs, 0), c.context)),
        "under jax.jit",
        "compute step from its arguments and the parameters only",
    )


def one_compilation(c: Candidate) -> None:
    out = c.run(c.carry, c.xs)
    c.traced.clear()
    c.run(c.initial, c.other_xs)
    c.run(c.carry_of(out), c.other_xs)
    if c.traced:
        raise Wrong(
            f"{len(c.traced)} more compilation{'s' * (len(c.traced) > 1)}",
            "create every field of the initial carry with its dtype, e.g. jnp.full(shape, 1, "
            "dtype), since jnp.full(shape, 1.0) is weakly typed, and use attributes of the cell "
            "that compare equal to themselves",
        )
