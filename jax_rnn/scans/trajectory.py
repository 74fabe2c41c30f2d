"""All states of a sequence as the solution of one equation, and its exact derivative.

The states solve h_t = f_t(h_{t-1}). Whichever way they are found, their tangent is the linear
recurrence with the Jacobians of f, which runs in parallel over time; JAX transposes it into the
backward pass, again in parallel.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jax_rnn.base.typing import Array
from jax_rnn.cells.inputs import batch_of
from jax_rnn.scans.base import Constants, Inputs
from jax_rnn.scans.packing import blocks_of, pack, unpack
from jax_rnn.scans.recurrence import Plan, linear_recurrence
from jax_rnn.scans.step import advance_projected, project_all, with_wide_gradients

__all__ = ["Problem", "before", "jacobians", "next_states", "run_with", "solve_linear"]


class Problem(NamedTuple):
    """What a solver gets: the steps and their arguments.

    Attributes:
        cell, carry, inputs, constants: of the scan, with projected inputs, from the first step on.
        batch, blocks: numbers of batch axes, and of blocks of the state.
        parallel: whether linear recurrences are associative scans, and not loops.
    """

    cell: Any
    carry: Any
    inputs: Inputs
    constants: Constants
    batch: int
    blocks: int
    parallel: bool

    def packed(self, state: Any) -> Array:
        return pack(state, self.carry, self.batch, self.blocks)


Solver = Callable[[Problem], tuple[Array, Any]]
"""The states after all steps, packed, and numbers about how they were found."""


def run_with(
    solver: Solver,
    cell: Any,
    carry: Any,
    inputs: Inputs,
    constants: Constants,
    reverse: bool,
    parallel: bool = True,
) -> tuple[Any, Any, Any]:
    """A scan whose states are found by ``solver``: the last carry, the outputs, and its numbers.

    ``parallel``: whether linear recurrences are associative scans, and not loops.
    """
    x = jax.tree.map(lambda leaf: leaf[0], inputs.x)
    batch = len(batch_of(cell, x))
    blocks = blocks_of(cell, carry, x, constants.context, batch)
    inputs = inputs._replace(x=project_all(cell, inputs, constants))
    if reverse:
        inputs = jax.tree.map(lambda leaf: leaf[::-1], inputs)
    static = solver, batch, blocks, parallel
    states, numbers = _states(static, cell, carry, inputs, constants)
    problem = Problem(cell, carry, inputs, constants, *static[1:])
    _, outputs = _all_steps(problem, unpack(before(problem, states), carry, batch))
    last = unpack(states[-1], carry, batch)
    if reverse:
        outputs = jax.tree.map(lambda leaf: leaf[::-1], outputs)
    return last, outputs, numbers


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _states(static: Any, cell: Any, carry: Any, inputs: Any, constants: Any) -> tuple[Array, Any]:
    solver, *rest = static
    return solver(Problem(cell, carry, inputs, constants, *rest))


@_states.defjvp
def _tangent(static: Any, primals: Any, tangents: Any) -> Any:
    states, numbers = _states(static, *primals)
    problem = Problem(*primals, *static[1:])
    dcell, dcarry, dinputs, dconstants = tangents
    earlier = before(problem, states)

    def following(cell: Any, inputs: Any, constants: Any) -> Array:
        moved = problem._replace(cell=cell, inputs=inputs, constants=constants)
        return next_states(moved, earlier)

    arguments = problem.cell, problem.inputs, problem.constants
    _, b = jax.jvp(following, arguments, (dcell, dinputs, dconstants))
    dstates = solve_linear(problem, jacobians(problem, earlier), b, problem.packed(dcarry))
    return (states, numbers), (dstates, jax.tree.map(_no_tangent, numbers))


def _no_tangent(leaf: Array) -> Any:
    if jnp.issubdtype(leaf.dtype, jnp.inexact):
        return jnp.zeros_like(leaf)
    return np.zeros(leaf.shape, jax.dtypes.float0)


def before(problem: Problem, states: Array) -> Array:
    """The packed states before each step, given those after it."""
    return jnp.concatenate([problem.packed(problem.carry)[None], states[:-1]])


def next_states(problem: Problem, earlier: Array) -> Array:
    """The packed states after each step, from those before it, all steps at once."""
    carries, _ = _all_steps(problem, unpack(earlier, problem.carry, problem.batch))
    return problem.packed(carries)


def _all_steps(problem: Problem, carries: Any) -> Any:
    own = with_wide_gradients(problem.cell)

    def step(carry: Any, inputs: Any) -> Any:
        return advance_projected(own(), carry, inputs, problem.constants)

    return jax.vmap(step)(carries, problem.inputs)


def jacobians(problem: Problem, earlier: Array) -> Array:
    """The Jacobian of every step within each block, (T, *batch, blocks, size, size).

    Column j is one derivative, in the direction of number j of all blocks. The directions are those
    of all steps, so that their products with weights are computed once, and not for every step.
    """
    own = with_wide_gradients(problem.cell)

    def one(state: Array, inputs: Any) -> Array:
        def step(state: Array) -> Array:
            carry = unpack(state, problem.carry, problem.batch)
            return problem.packed(advance_projected(own(), carry, inputs, problem.constants)[0])

        def column(unit: Array) -> Array:
            return jax.jvp(step, (state,), (jnp.broadcast_to(unit, state.shape),))[1]

        return jax.vmap(column, out_axes=-1)(jnp.eye(state.shape[-1], dtype=state.dtype))

    return jax.vmap(one)(earlier, problem.inputs)


def solve_linear(problem: Problem, a: Array, b: Array, initial: Array) -> Array:
    """The linear recurrence with matrices, or elementwise where ``a`` is diagonal."""
    if a.ndim > b.ndim and a.shape[-1] == 1:
        a = a[..., 0]
    return linear_recurrence(Plan(problem.parallel, 1, False), a, b, initial)
