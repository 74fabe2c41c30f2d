"""The fast scan of every ``GatedCell``, derived from its ``update``."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import nnx

from jax_rnn.cells.base import Cell
from jax_rnn.cells.gated import is_gated
from jax_rnn.cells.wrapper import before, core_of
from jax_rnn.scans.base import Constants, Inputs, Scan, check_options
from jax_rnn.scans.gated_forward import Run, forward
from jax_rnn.scans.gated_tangent import tangent
from jax_rnn.scans.sizes import is_tiny, projects_inside
from jax_rnn.scans.step import finished
from jax_rnn.typing import CarryT, Size, is_symbolic

__all__ = ["Gated"]

UNROLL = {"cuda": 4, "rocm": 4}
"""Steps per iteration of the loop on a platform, for sequences of at least ``LONG`` steps; else 1.

A GPU launches a kernel for every operation of an iteration. Kernels and copies a step of LSTM and
GRU of size (32, 128, 256, 256), compiled for an H100, and seconds of CPU for the compilation:

    steps per iteration       1     4     8
    forward                   4   2.5  2.25
    forward and backward     15   7.5  6.25
    compilation             1.3   2.3   3.8
"""

LONG = 16


@dataclass(frozen=True)
class Gated(Scan):
    """The fast scan of a ``GatedCell``, also in wrappers; values and derivatives of ``Sequential``.

    For the gradient, a step stores the arguments of ``update``: the carry and the gates. ``update``
    is recomputed.

    Args:
        unroll: int, steps per iteration of the loop; None (default) is chosen by platform.
        project: where the inputs are projected: ``"before"`` the loop, for all steps at once, or
            ``"inside"``, step by step, which needs less memory; ``"auto"`` (default) chooses by
            platform and size.
    """

    unroll: int | None = None
    project: str = "auto"

    requires: ClassVar[str] = (
        "a GatedCell that writes update and leaves project, recur and step as they are"
    )

    def __post_init__(self):
        check_options(self, "by size")  # what "auto" becomes on a CPU

    def supports(self, cell: Cell) -> bool:
        if not is_gated(core_of(cell)):
            return False
        carry = jax.eval_shape(lambda: cell.initialize_carry((cell.input_size,)))
        leaves = jax.tree.leaves((carry, nnx.state(cell, nnx.Param)))
        return all(jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in leaves)

    def suits(self, cell: Cell, shape: tuple[Size, ...], platform: str) -> bool:
        return not is_tiny(cell, shape) and self.supports(cell)

    def tuned(self, cell: Cell, shape: tuple[Size, ...], platform: str) -> "Gated":
        steps, unroll, project = shape[0], self.unroll, self.project
        if is_symbolic(steps):
            unroll = 1
        elif unroll is None:
            unroll = UNROLL.get(platform, 1) if steps >= LONG else 1
        if project == "auto":
            project = "by size" if platform == "cpu" else "before"
            if project == "by size" and not any(
                projects_inside(cell, shape, keep) for keep in (False, True)
            ):
                project = "before"
        return replace(self, unroll=unroll, project=project)

    def __call__(
        self,
        cell: Cell[CarryT],
        carry: CarryT,
        inputs: Inputs,
        constants: Constants,
        *,
        reverse: bool = False,
    ) -> tuple[CarryT, Any]:
        graphdef, params, fixed = nnx.split(cell, _is_float, ...)
        run = Run(graphdef, reverse, self.unroll or 1, self.project)
        x = before(cell, inputs.x, constants.noise)
        rest = (fixed, inputs._replace(x=None), constants.noise)
        carry, ys = _scan(run, params, (carry, constants.initial), x, rest)
        return carry, finished(cell, ys, inputs)


def _is_float(path: Any, leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jnp.floating)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _scan(run: Run, params: Any, carries: Any, xs: Any, fixed: Any) -> Any:
    return forward(run, params, carries, xs, fixed, keep=False)[0]


@partial(_scan.defjvp, symbolic_zeros=True)
def _scan_jvp(run: Run, primals: Any, tangents: Any) -> Any:
    params, carries, xs, fixed = primals
    out, kept = forward(run, params, carries, xs, fixed, keep=True)
    return out, tangent(run, params, xs, fixed, carries, kept, *tangents[:3])
