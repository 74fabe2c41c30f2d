"""The scan of linear cells, in parallel over time."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from jax_rnn.arguments import check_count
from jax_rnn.cells.base import Cell, check_output
from jax_rnn.cells.linear import is_linear
from jax_rnn.cells.wrapper import Recorded, Recorder, Wrapper, before, core_of, wrappers_of
from jax_rnn.scans.base import Constants, Inputs, Scan
from jax_rnn.scans.recurrence import How, linear_recurrence
from jax_rnn.scans.step import finished, only
from jax_rnn.typing import CarryT, Size, is_symbolic

__all__ = ["Associative"]


@dataclass(frozen=True)
class Associative(Scan):
    """The scan of a ``LinearCell``: all coefficients at once, and the recurrence over time.

    Args:
        parallel: bool, whether the recurrence is an associative scan, or a loop over the steps that
            does nothing else; None (default) is a loop on a CPU, where it is faster, and an
            associative scan on other platforms.
        blocks: int, number of blocks of time that are computed side by side, 1 by default; with the
            number of devices that a time axis is divided among, each device computes its own block.

    Source: G. E. Blelloch, "Prefix sums and their applications", 1990.
    """

    parallel: bool | None = None
    blocks: int = 1

    requires: ClassVar[str] = (
        "a LinearCell that writes coefficients and output and leaves project and step as they are"
    )

    def __post_init__(self):
        check_count("Associative.blocks", self.blocks)

    def supports(self, cell: Cell) -> bool:
        kept = (Wrapper.on_update, Recorder.on_update)
        changed = (type(w).on_update not in kept for w in wrappers_of(cell))
        return is_linear(core_of(cell)) and not any(changed)

    def tuned(self, cell: Cell, shape: tuple[Size, ...], platform: str) -> "Associative":
        if is_symbolic(shape[0]):  # lax.associative_scan needs a known length
            return replace(self, parallel=False, blocks=1)
        parallel = platform != "cpu" if self.parallel is None else self.parallel
        return replace(self, parallel=parallel)

    def __call__(
        self,
        cell: Cell[CarryT],
        carry: CarryT,
        inputs: Inputs,
        constants: Constants,
        *,
        reverse: bool = False,
    ) -> tuple[CarryT, Any]:
        core: Any = core_of(cell)
        how = How(bool(self.parallel), self.blocks, reverse)
        a, b, x = core.project(before(cell, inputs.x, constants.noise))

        def solve(a, b, initial, start):
            a = jnp.broadcast_to(a, b.shape).astype(b.dtype)
            if inputs.resets is not None:
                a, b = only(inputs.resets, (jnp.zeros_like(a), a * initial + b), (a, b))
            if inputs.mask is not None:
                a, b = only(inputs.mask, (a, b), (jnp.ones_like(a), jnp.zeros_like(b)))
            return linear_recurrence(how, a, b, start.astype(b.dtype))

        initial = carry if constants.initial is None else constants.initial
        states = jax.tree.map(solve, a, b, initial, carry)
        ys = core.output(states, x).astype(core.dtype)
        check_output(core, ys, inputs.x.shape[: inputs.x.ndim - core.num_feature_axes])
        if any(isinstance(wrapper, Recorder) for wrapper in wrappers_of(cell)):
            ys = Recorded(ys, states)
        zero = jax.tree.map(jnp.zeros_like, ys)
        last = jax.tree.map(lambda leaf: leaf[0 if reverse else -1], states)
        return last, finished(cell, only(inputs.mask, ys, zero), inputs)
