"""Time in parallel for any cell: Newton's method on all steps at once, and the adjoint alone."""

import warnings
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jax_rnn.base.arguments import check_count, check_positive, check_rate
from jax_rnn.base.typing import Array, CarryT, is_symbolic
from jax_rnn.cells.base import Cell
from jax_rnn.cells.inputs import example, shape_of
from jax_rnn.scans.base import Constants, Inputs, Scan, Unsupported
from jax_rnn.scans.sequential import Sequential
from jax_rnn.scans.sizes import steps_of
from jax_rnn.scans.step import advance_projected
from jax_rnn.scans.trajectory import Problem, before, jacobians, next_states, run_with, solve_linear

__all__ = ["Newton", "NewtonRun", "ParallelAdjoint"]

ROUNDINGS = 200
"""The default tolerance, in units of the rounding of the dtype."""


class NewtonRun(NamedTuple):
    """How Newton's method went."""

    iterations: Array
    """int, number of iterations."""
    residual: Array
    """float, the largest |h_t - f_t(h_{t-1})| of the last iteration, relative to max(1, |h|)."""
    converged: Array
    """bool, whether the residual is within the tolerance; if not, the states are Sequential's."""
    lyapunov: Array | None = None
    """float, an estimate of the largest Lyapunov exponent, per step, or None if not asked for."""


class _Real(Scan):
    """A scan of cells whose state consists of real or complex numbers; never chosen by "auto"."""

    def supports(self, cell: Cell) -> bool | Unsupported:
        carry: Any = jax.eval_shape(lambda: cell.initialize_carry(shape_of(example(cell))))
        for name, leaf in carry._asdict().items():
            if not jnp.issubdtype(leaf.dtype, jnp.inexact):
                return Unsupported(f"expected a state of real numbers, got {name} of {leaf.dtype}")
        return True

    def suits(self, cell: Cell, shape: Any, platform: str) -> bool:
        return False

    def resolved(self, cell: Cell, shape: Any, platform: str) -> Scan:
        return Sequential() if is_symbolic(steps_of(cell, shape)) else self


@dataclass(frozen=True)
class Newton(_Real):
    r"""Newton's method for the states of all steps at once, each iteration in parallel over time.

    .. math::
        r_t = f_t(h_{t-1}) - h_t, \qquad
        \delta_t = (1 - d) J_t \delta_{t-1} + r_t, \qquad h_t \leftarrow h_t + \delta_t

    where J_t is the Jacobian of step t, in blocks if the cell has several heads, and the recurrence
    of delta is an associative scan. It converges in few iterations where the cell forgets its
    state, that is where the largest Lyapunov exponent is negative. Where it does not converge, the
    states are computed by ``Sequential``, and a warning says so. Memory and operations grow with
    the square and the cube of the size of a block. Derivatives are exact, whatever the options:
    those of the solution, by a recurrence with the full Jacobians.

    Args:
        jacobian: ``"full"`` (default), the Jacobian in the blocks that the cell has, or
            ``"diagonal"``, its diagonal alone, which takes less memory and more iterations.
        damping: float d, from 0 (default), Newton's method, to 1, a fixed-point iteration.
        tolerance: float, largest residual, relative to the largest state; None (default) is 200
            times the rounding of the dtype.
        max_iterations: int, most iterations; 50 by default.
        lyapunov: bool, whether the largest Lyapunov exponent is estimated too, from the growth of
            a random perturbation along the solution; False by default.
        warn: bool, whether to warn where it does not converge; with True (default) the program
            calls Python, so turn it off to export.

    A layer returns ``NewtonRun`` with ``return_extras=True``.

    Source: Y. H. Lim et al., "Parallelizing non-linear sequential models over the sequence length",
    2023; the diagonal and damping: X. Gonzalez et al., "Towards scalable and stable parallelization
    of nonlinear RNNs", 2024.
    """

    jacobian: str = "full"
    damping: float = 0.0
    tolerance: float | None = None
    max_iterations: int = 50
    lyapunov: bool = False
    warn: bool = True

    def __post_init__(self):
        if self.jacobian not in ("full", "diagonal"):
            raise ValueError(
                f"Newton.jacobian: expected 'full' or 'diagonal', got {self.jacobian!r}"
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
        return run_with(partial(_newton, self), cell, carry, inputs, constants, reverse)


@dataclass(frozen=True)
class ParallelAdjoint(_Real):
    """Steps one after another, and their derivatives in parallel over time.

    The tangent, and its transpose, the backward pass, are associative scans with the Jacobians of
    all steps. Values and derivatives are exact for any cell. Memory and operations of the
    derivative grow with the square and the cube of the size of a block of the state.

    Source: X. Gonzalez et al., "Towards scalable and stable parallelization of nonlinear RNNs",
    2024; the recurrence of the adjoint is that of backpropagation through time.
    """

    def __call__(
        self,
        cell: Cell[CarryT],
        carry: CarryT,
        inputs: Inputs,
        constants: Constants,
        *,
        reverse: bool = False,
    ) -> tuple[CarryT, Any]:
        return run_with(_one_by_one, cell, carry, inputs, constants, reverse)[:2]


def _one_by_one(problem: Problem) -> tuple[Array, None]:
    def step(carry: Any, inputs: Any) -> Any:
        carry, _ = advance_projected(problem.cell, carry, inputs, problem.constants)
        return carry, problem.packed(carry)

    return lax.scan(step, problem.carry, problem.inputs)[1], None


def _newton(scan: Newton, problem: Problem) -> tuple[Array, NewtonRun]:
    first = problem.packed(problem.carry)
    steps = problem.inputs.steps
    start = jnp.broadcast_to(first, (steps, *first.shape))
    tolerance = scan.tolerance or ROUNDINGS * float(jnp.finfo(first.dtype).eps)
    diagonal = scan.jacobian == "diagonal"

    def residual(states: Array) -> tuple[Array, Array]:
        r = next_states(problem, before(problem, states)) - states
        return r, jnp.abs(r).max() / jnp.maximum(1, jnp.abs(states).max())

    def again(state: Any) -> Array:
        _, _, size, count = state
        return (size > tolerance) & (count < scan.max_iterations)

    def iterate(state: Any) -> Any:
        states, r, _, count = state
        a = (1 - scan.damping) * jacobians(problem, before(problem, states), diagonal)
        states = states + solve_linear(a, r, jnp.zeros_like(first))
        return states, *residual(states), count + 1

    guess = next_states(problem, start)
    states, _, size, count = lax.while_loop(again, iterate, (guess, *residual(guess), 0))
    converged = size <= tolerance
    if scan.warn:
        jax.debug.callback(_warn, converged, size, count)
    states = lax.cond(converged, lambda: states, lambda: _one_by_one(problem)[0])
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
    return logs.mean()
