"""The fast scan of every ``GatedCell``, derived from its ``update``."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jax_rnn.base.typing import CarryT, floats_of, is_symbolic
from jax_rnn.cells.base import Cell
from jax_rnn.cells.gated import GatedCell
from jax_rnn.cells.inputs import example, shape_of
from jax_rnn.scans.base import Constants, Inputs, Scan, Unsupported, check_options
from jax_rnn.scans.gated_backward import backward
from jax_rnn.scans.gated_forward import Run, forward, reads_h
from jax_rnn.scans.gated_tangent import Saved, tangent
from jax_rnn.scans.linear_call import linear_call
from jax_rnn.scans.sizes import is_tiny, projects_inside, steps_of

__all__ = ["Gated"]

GPUS = ("cuda", "rocm")

UNROLL = 8
"""Steps per iteration of the loop on a GPU, for sequences of at least ``LONG`` steps; else 1.

A GPU launches a kernel for every operation of an iteration. Kernels and copies a step of LSTM of
size (32, 128, 256, 256), compiled for an H100, and seconds of CPU for the compilation:

    steps per iteration       1     4     8    16
    forward                   4  2.50  2.25  2.12
    forward and backward     11  6.50  5.75  5.38
    compilation             0.7   1.3   2.1   3.3

With an array for each gate that is stored for the gradient they are 15, 7.5 and 6.25.
"""

NEAR = range(6, 13)
"""A number of these that divides T is better: steps that are left over need copies of all arrays.

The training step of LSTM (32, 100, 200, 200) takes 30 MB with 10 steps per iteration, 46 with 8.
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
            platform and size, on a CPU also by whether the scan is differentiated.
        pack: bool, whether a step stores the gates for the gradient as one array, which saves
            kernels on a GPU; None (default) is true on a GPU only.
    """

    unroll: int | None = None
    project: str = "auto"
    pack: bool | None = None

    def __post_init__(self):
        check_options(self)

    def supports(self, cell: Cell) -> bool | Unsupported:
        core = cell._core()
        if not isinstance(core, GatedCell):
            return Unsupported(f"expected a GatedCell, got {type(core).__name__}")
        carry: Any = jax.eval_shape(lambda: cell.initialize_carry(shape_of(example(cell))))
        for name, leaf in carry._asdict().items():
            if not jnp.issubdtype(leaf.dtype, jnp.floating):
                return Unsupported(f"expected a carry of floats, got {name} of {leaf.dtype}")
        for path, leaf in nnx.to_flat_state(nnx.state(cell, nnx.Param)):
            if not jnp.issubdtype(leaf.dtype, jnp.floating):
                name = ".".join(map(str, path))
                return Unsupported(f"expected parameters of floats, got {name} of {leaf.dtype}")
        return True

    def suits(self, cell: Cell, shape: Any, platform: str) -> bool:
        return not is_tiny(cell, shape) and bool(self.supports(cell))

    def resolved(self, cell: Cell, shape: Any, platform: str) -> "Gated":
        steps, unroll, project = steps_of(cell, shape), self.unroll, self.project
        if is_symbolic(steps):
            unroll = 1
        elif unroll is None:
            unroll = _unrolled(steps) if platform in GPUS and steps >= LONG else 1
        if project == "auto":
            choices = [(keep, changed) for keep in (False, True) for changed in (False, True)]
            inside = {platform == "cpu" and projects_inside(cell, shape, *c) for c in choices}
            if len(inside) == 1:  # otherwise it depends on what is known when it is called
                project = "inside" if inside.pop() else "before"
        pack = platform in GPUS if self.pack is None else self.pack
        return replace(self, unroll=unroll, project=project, pack=pack)

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
        inside: Any = (self.project == "inside",) * 2
        if self.project == "auto":
            shape = shape_of(inputs.x)
            changed = not reads_h(cell, carry, inputs, constants)
            place = partial(projects_inside, cell._core(), shape, changed=changed)
            inside = place(keep=False), place(keep=True)
        run = Run(graphdef, reverse, self.unroll or 1, inside, bool(self.pack))
        context, other = floats_of(constants.context)
        steps = fixed, inputs._replace(x=None), replace(constants, initial=None, context=other)
        return _scan(run, (params, context), (carry, constants.initial), inputs.x, steps)


def _unrolled(steps: int) -> int:
    return max((n for n in NEAR if steps % n == 0), default=UNROLL)


def _is_float(path: Any, leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jnp.floating)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _scan(run: Run, params: Any, carries: Any, xs: Any, fixed: Any) -> Any:
    return forward(run, params, carries, xs, fixed, keep=False)[0]


@partial(_scan.defjvp, symbolic_zeros=True)
def _scan_jvp(run: Run, primals: Any, tangents: Any) -> Any:
    params, carries, xs, fixed = primals
    out, kept = forward(run, params, carries, xs, fixed, keep=True)
    saved = Saved(params, carries, xs, fixed, kept)
    return out, linear_call(partial(tangent, run), partial(backward, run), saved, tangents[:3])
