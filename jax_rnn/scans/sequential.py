"""The reference scan: one step after another, differentiated by JAX."""

from dataclasses import dataclass
from typing import Any

import jax
from jax import lax

from jax_rnn.base.typing import CarryT, is_symbolic
from jax_rnn.cells.affine import AffineCell, with_transposes
from jax_rnn.cells.base import Cell
from jax_rnn.cells.linear import LinearCell
from jax_rnn.scans.base import Constants, Inputs, Scan, check_options
from jax_rnn.scans.sizes import is_tiny, is_wide, projects_inside, steps_of
from jax_rnn.scans.step import advance, advance_projected, project_all, with_wide_gradients

__all__ = ["Sequential"]

FEW = 8
"""A sequence of at most so many tiny steps is unrolled completely, if it is differentiated.

A training step is up to a quarter faster then. A forward pass alone is not: XLA on CPU counts the
operations of a program, and runs only small programs in the calling thread.
"""


@dataclass(frozen=True)
class Sequential(Scan):
    """One step after another in a compiled loop, for any cell; the definition of a scan.

    Args:
        unroll: int, steps per iteration of the loop; 1 by default.
        project: where ``cell.project`` is computed: ``"before"`` the loop, for all steps at once,
            ``"inside"``, step by step, or ``"auto"`` (default), inside for tiny steps, for linear
            cells with many states per hidden unit, and on a CPU for affine cells of some sizes.
        unroll_gradient: int, steps per iteration if the scan is differentiated; None (default) is
            ``unroll``, or all steps of a short sequence of tiny steps.
    """

    unroll: int = 1
    project: str = "auto"
    unroll_gradient: int | None = None

    def __post_init__(self):
        check_options(self)

    def resolved(self, cell: Cell, shape: Any, platform: str) -> "Sequential":
        tiny, unroll, project = is_tiny(cell, shape), self.unroll, self.project
        gradient, steps = self.unroll_gradient, steps_of(cell, shape)
        if is_symbolic(steps):
            unroll = gradient = 1
        elif gradient is None:
            gradient = steps if tiny and steps <= FEW and unroll == 1 else unroll
        if project == "auto":
            project = "inside" if tiny or _prefers_inside(cell, shape, platform) else "before"
        return Sequential(unroll, project, gradient)

    def __call__(
        self,
        cell: Cell[CarryT],
        carry: CarryT,
        inputs: Inputs,
        constants: Constants,
        *,
        reverse: bool = False,
    ) -> tuple[CarryT, Any]:
        arguments = (cell, carry, inputs, constants)
        if self.unroll_gradient in (None, self.unroll):
            return self._run(self.unroll, reverse, *arguments)

        @jax.custom_jvp
        def run(*arguments):
            return self._run(self.unroll, reverse, *arguments)

        @run.defjvp
        def tangent(primals, tangents):
            def unrolled(cell, *rest):
                return self._run(self.unroll_gradient, reverse, with_transposes(cell), *rest)

            return jax.jvp(unrolled, primals, tangents)

        return run(*arguments)

    def _run(
        self,
        unroll: int | None,
        reverse: bool,
        cell: Any,
        carry: Any,
        inputs: Inputs,
        constants: Constants,
    ) -> Any:
        own = with_wide_gradients(cell)
        inside = self.project == "inside"

        def body(carry, inputs):
            step = advance if inside else advance_projected
            return step(own(), carry, inputs, constants)

        if not inside:
            inputs = inputs._replace(x=project_all(cell, inputs, constants))
        return lax.scan(body, carry, inputs, reverse=reverse, unroll=unroll or 1)


def _prefers_inside(cell: Cell, shape: Any, platform: str) -> bool:
    core = cell._core()
    if isinstance(core, AffineCell):  # whether it is differentiated is not known
        return platform == "cpu" and projects_inside(cell, shape, keep=True, changed=True)
    return isinstance(core, LinearCell) and is_wide(core)
