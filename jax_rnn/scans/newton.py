"""Time in parallel for any cell: Newton's method on all steps at once."""

import warnings
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jax_rnn.base.arguments import check_count, check_positive, check_rate
from jax_rnn.base.typing import Array, CarryT, accumulator
from jax_rnn.cells.base import Cell
from jax_rnn.scans.base import Constants, Inputs
from jax_rnn.scans.parallel_adjoint import WithJacobians, one_by_one
from jax_rnn.scans.slopes import JACOBIANS, correction
from jax_rnn.scans.step import advance
from jax_rnn.scans.trajectory import Problem, before, jacobians, next_states, run_with

__all__ = ["Newton", "NewtonRun"]

ROUNDINGS = 200
"""The default tolerance, in units of the rounding of the dtype."""


class NewtonRun(NamedTuple):
    """How Newton's method went."""

    iterations: Array
    """int, number of iterations."""
    residual: Array
    """float, the largest |h_t - f_t(h_{t-1})| / max(1, |h_t|) then; NaN if not all are finite."""
    converged: Array
    """bool, whether the residual is within the tolerance; if not, the states are Sequential's."""
    lyapunov: Array | None = None
    """float, an estimate of the largest Lyapunov exponent per step, the mean over sequences without
    masked steps and those after a reset, or None if not asked for."""


@dataclass(frozen=True)
class Newton(WithJacobians):
    r"""Newton's method for the states of all steps at once, each iteration in parallel over time.

    The steps h_t = f_t(h_{t-1}) are a system of equations. Starting from h_t = f_t(h_0), it repeats

    .. math::
        r_t = f_t(h_{t-1}) - h_t, \qquad
        J_t = \frac{\partial f_t}{\partial h}(h_{t-1}), \qquad
        \delta_t = (1 - d) J_t \delta_{t-1} + r_t, \qquad h_t \leftarrow h_t + \delta_t

    with :math:`\delta_0 = 0`, a linear recurrence in parallel over time. After n iterations the
    first n steps are exact, and near the solution the error is squared in every iteration. A cell
    that forgets its state, with a negative Lyapunov exponent, needs a few iterations for any T; one
    with a positive exponent about T.

    Where the residual is not within the tolerance at the end, or is not finite, the steps are run
    one after another, and a warning says so. Values are those of ``Sequential`` in both cases.
    Derivatives are exact whatever the options: those of ``ParallelAdjoint``, at the solution. Half
    precision is computed in float32. Under ``jax.vmap``, all examples make the iterations of the
    slowest, and the steps one after another too. Time and memory: see ``ParallelAdjoint``; an
    iteration costs as much as a backward pass of it.

    ``scan="auto"`` never chooses it. Its name is ``"newton"``. A layer returns ``NewtonRun`` with
    ``return_extras=True``.

    Args:
        jacobian: what an iteration uses of J_t. ``"auto"`` (default): all of it, in the blocks that
            a step does not mix, those of the heads or of the units of a linear cell; ``"full"``:
            all of it, as one block; ``"block"``: what is within a head, or within a unit of a cell
            of one head, e.g. 2 x 2 matrices for h and c; ``"diagonal"``: its diagonal alone
            (quasi-DEER). Less of it takes less time and memory an iteration, and more iterations.
        damping: float d, from 0 (default), Newton's method, to 1, a fixed-point iteration; it can
            keep iterations finite that would overflow.
        tolerance: float, largest residual, relative to a state above 1; None (default) is 200 times
            the rounding of the dtype.
        max_iterations: int, most iterations; 50 by default.
        lyapunov: bool, whether the largest Lyapunov exponent is estimated too, from the growth of
            a random perturbation along the solution, which is a loop over the steps; False by
            default.
        parallel: bool, whether linear recurrences are associative scans, or loops that do nothing
            else; None (default) is a loop on a CPU, where it is faster, and an associative scan on
            other platforms.
        warn: bool, whether to issue a ``RuntimeWarning`` where it does not converge, also from
            compiled programs; True by default. ``jax.export`` needs False.

    Raises:
        TypeError: a number of another type. ValueError: an unknown jacobian, or a number that is
            out of range.

    Source: Y. H. Lim et al., "Parallelizing non-linear sequential models over the sequence length",
    2023 (arXiv:2309.12252), DEER; the diagonal and damping: X. Gonzalez et al., "Towards scalable
    and stable parallelization of nonlinear RNNs", 2024 (arXiv:2407.19115).
    """

    jacobian: str = "auto"
    damping: float = 0.0
    tolerance: float | None = None
    max_iterations: int = 50
    lyapunov: bool = False
    parallel: bool | None = None
    warn: bool = True

    def __post_init__(self):
        if self.jacobian not in JACOBIANS:
            raise ValueError(
                f"Newton.jacobian: expected one of {', '.join(map(repr, JACOBIANS))}, got "
                f"{self.jacobian!r}"
            )
        check_rate("Newton.damping", self.damping)
        check_count("Newton.max_iterations", self.max_iterations)
        if self.tolerance is not None:
            check_positive("Newton.tolerance", self.tolerance)

    def __call__(
        self,
        cell: Cell[CarryT],
        carry: CarryT,
        inputs: Inputs,
        constants: Constants,
        *,
        reverse: bool = False,
    ) -> tuple[CarryT, Any, NewtonRun]:
        step = jax.tree.map(lambda leaf: leaf[0], inputs)
        like = jax.eval_shape(advance, cell, carry, step, constants)
        given: Any = _wide((cell, carry, inputs, constants))
        solve = partial(run_with, partial(_newton, self), reverse=reverse)
        *result, run = solve(*given, parallel=bool(self.parallel))
        last, outputs = jax.tree.map(lambda a, own: a.astype(own.dtype), tuple(result), like)
        return last, outputs, run


def _wide(tree: Any) -> Any:
    """Half precision as float32, in which the iterations converge."""
    return jax.tree.map(
        lambda leaf: leaf.astype(accumulator(leaf.dtype)) if _is_half(leaf) else leaf, tree
    )


def _is_half(leaf: Array) -> bool:
    return leaf.dtype in (jnp.bfloat16, jnp.float16)


def _newton(scan: Newton, problem: Problem) -> tuple[Array, NewtonRun]:
    first = problem.packed(problem.carry)
    start = jnp.broadcast_to(first, (problem.inputs.steps, *first.shape))
    tolerance = scan.tolerance or ROUNDINGS * float(jnp.finfo(first.dtype).eps)
    solve = correction(problem, scan.jacobian)

    def residual(states: Array) -> tuple[Array, Array]:
        r = next_states(problem, before(problem, states)) - states
        size = (jnp.abs(r) / jnp.maximum(1, jnp.abs(states))).max()  # on a CPU, ignores NaN
        return r, jnp.where(jnp.isfinite(r).all(), size, jnp.nan)

    def again(state: Any) -> Array:
        _, _, size, count = state
        return (size > tolerance) & jnp.isfinite(size) & (count < scan.max_iterations)

    def iterate(state: Any) -> Any:
        states, r, _, count = state
        states = states + solve(before(problem, states), r, 1 - scan.damping)
        return states, *residual(states), count + 1

    guess = next_states(problem, start)
    states, _, size, count = lax.while_loop(again, iterate, (guess, *residual(guess), 0))
    converged = size <= tolerance

    def loop() -> Array:
        if scan.warn:
            jax.debug.callback(_warn, converged, size, count)  # vmap runs both branches
        return one_by_one(problem)[0]

    states = lax.cond(converged, lambda: states, loop)
    exponent = _lyapunov(problem, states) if scan.lyapunov else None
    return states, NewtonRun(count, size, converged, exponent)


def _warn(converged: Any, residual: Any, iterations: Any) -> None:
    if not converged:
        warnings.warn(
            f"Newton did not converge: the residual is {float(residual):.1e} after "
            f"{int(iterations)} iterations; the steps were run one after another. Use "
            "scan='sequential', a cell that forgets its state, or more max_iterations",
            RuntimeWarning,
            stacklevel=2,
        )


def _lyapunov(problem: Problem, states: Array) -> Array:
    """The mean rate at which a random perturbation of the state grows along the trajectory."""
    products = jacobians(problem, before(problem, states))
    start = jax.random.normal(jax.random.key(0), products.shape[1:-1], products.dtype)
    axes = (-2, -1)

    def step(direction: Array, jacobian: Array) -> tuple[Array, Array]:
        new = (jacobian * direction[..., None, :]).sum(-1)
        norm = jnp.sqrt((new * new).sum(axes, keepdims=True))
        new = jnp.where(norm > 0, new / jnp.where(norm > 0, norm, 1), start)
        return new, jnp.where(norm > 0, jnp.log(jnp.where(norm > 0, norm, 1)), 0)

    _, logs = lax.scan(step, start / jnp.sqrt((start**2).sum(axes, keepdims=True)), products)
    counted = jnp.ones(logs.shape[:-2], bool)
    if (mask := problem.inputs.mask) is not None:
        counted &= mask
    if (resets := problem.inputs.resets) is not None:
        counted &= ~resets
    return (logs[..., 0, 0] * counted).sum() / jnp.maximum(counted.sum(), 1)
