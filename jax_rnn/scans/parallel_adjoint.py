"""Derivatives in parallel over time, for any cell; and what Newton's method shares with them."""

from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jax_rnn.base.typing import Array, CarryT, is_symbolic
from jax_rnn.cells.base import Cell
from jax_rnn.cells.inputs import example, shape_of
from jax_rnn.scans.base import Constants, Inputs, Scan, Unsupported
from jax_rnn.scans.sequential import Sequential
from jax_rnn.scans.sizes import steps_of
from jax_rnn.scans.step import advance_projected
from jax_rnn.scans.trajectory import Problem, run_with

__all__ = ["ParallelAdjoint", "WithJacobians", "one_by_one"]


class WithJacobians(Scan):
    """A scan of cells whose state consists of real or complex numbers; never chosen by "auto"."""

    parallel: bool | None

    def supports(self, cell: Cell) -> bool | Unsupported:
        carry: Any = jax.eval_shape(lambda: cell.initialize_carry(shape_of(example(cell))))
        for name, leaf in carry._asdict().items():
            if not jnp.issubdtype(leaf.dtype, jnp.inexact):
                return Unsupported(f"expected a state of real numbers, got {name} of {leaf.dtype}")
        return True

    def suits(self, cell: Cell, shape: Any, platform: str) -> bool:
        return False

    def resolved(self, cell: Cell, shape: Any, platform: str) -> Scan:
        if is_symbolic(steps_of(cell, shape)):
            return Sequential().resolved(cell, shape, platform)
        value: Any = self
        parallel = platform != "cpu" if self.parallel is None else self.parallel
        return replace(value, parallel=parallel)


@dataclass(frozen=True)
class ParallelAdjoint(WithJacobians):
    r"""Steps one after another, and their derivatives in parallel over time.

    The tangent, and its transpose, the backward pass, are linear recurrences,

    .. math::
        dh_t = J_t \, dh_{t-1} + df_t, \qquad
        \bar h_{t-1} = J_t^T \bar h_t + \bar y_{t-1}, \qquad
        J_t = \frac{\partial f_t}{\partial h}(h_{t-1})

    where df_t is what parameters and inputs change in a step, and y-bar what the outputs add. The
    Jacobians of all steps are computed at once. Values and derivatives, of any order, are those of
    ``Sequential``, for any cell whose state consists of floats. At a masked step J_t is the
    identity, at a reset it is zero.

    For B sequences of T steps and a state of K numbers, a derivative needs memory for T B K^2 / n
    numbers, where n is the number of parts of the state that a step does not mix: the heads of a
    cell, H with ``heads=hidden_size`` and for linear cells, otherwise 1. As an associative scan it
    takes T B K^3 / n^2 operations, as a loop K times less.

    ``scan="auto"`` never chooses it. Its name is ``"parallel_adjoint"``.

    Args:
        parallel: bool, whether linear recurrences are associative scans, or loops that do nothing
            else; None (default) is a loop on a CPU, where it is faster, and an associative scan on
            other platforms.

    Source: Y. H. Lim et al., "Parallelizing non-linear sequential models over the sequence length",
    2023 (arXiv:2309.12252); the recurrence is that of backpropagation through time.
    """

    parallel: bool | None = None

    def __call__(
        self,
        cell: Cell[CarryT],
        carry: CarryT,
        inputs: Inputs,
        constants: Constants,
        *,
        reverse: bool = False,
    ) -> tuple[CarryT, Any]:
        options = reverse, bool(self.parallel)
        return run_with(one_by_one, cell, carry, inputs, constants, *options)[:2]


def one_by_one(problem: Problem) -> tuple[Array, None]:
    def step(carry: Any, inputs: Any) -> Any:
        carry, _ = advance_projected(problem.cell, carry, inputs, problem.constants)
        return carry, problem.packed(carry)

    return lax.scan(step, problem.carry, problem.inputs)[1], None
