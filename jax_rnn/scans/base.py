"""The contract of a scan, which runs a cell over time."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from jax_rnn.arguments import check_count
from jax_rnn.cells.base import Cell, Noise, check_output
from jax_rnn.cells.wrapper import after, main
from jax_rnn.scans.masking import only
from jax_rnn.scans.placement import like
from jax_rnn.typing import Array, Bool, CarryT, Size

__all__ = [
    "Constants",
    "Inputs",
    "Scan",
    "advance",
    "advance_projected",
    "check_options",
    "finished",
    "noise_of",
]


class Inputs(NamedTuple):
    """What the steps of a scan read, time-major; a field is None if it is not used."""

    x: Any
    """The inputs, (T, *batch, I)."""
    mask: Bool[Array, "T *batch"] | None = None
    """True for valid steps. Inputs of invalid steps are zero."""
    resets: Bool[Array, "T *batch"] | None = None
    """True for steps before which the carry goes back to ``Constants.initial``."""
    noise: Any = None
    """The random numbers of every step."""


class Constants(NamedTuple):
    """What is the same in all steps; a field is None if it is not used."""

    initial: Any = None
    """The carry after a reset."""
    noise: Any = None
    """The random numbers of the sequence."""


class Scan(ABC):
    """How a cell runs over time.

    A scan is an immutable value that can be compared and hashed, e.g. a frozen dataclass, since it
    is a static argument of compiled programs. Pass it to a layer, ``LSTM(..., scan=MyScan())``.
    """

    requires: ClassVar[str] = "any cell"
    """The cells that it supports, in words."""

    def supports(self, cell: Cell) -> bool:
        """Whether it can run the cell."""
        return True

    def suits(self, cell: Cell, shape: tuple[Size, ...], platform: str) -> bool:
        """Whether ``scan="auto"`` may choose it, for inputs (T, *batch, I) on this platform."""
        return self.supports(cell)

    def tuned(self, cell: Cell, shape: tuple[Size, ...], platform: str) -> "Scan":
        """The same scan with options chosen for this cell, shape and platform."""
        return self

    def inner(self) -> "Scan | str | None":
        """The scan that it uses in turn, or its name; None if there is none."""
        return None

    def with_inner(self, scan: "Scan") -> "Scan":
        """The same scan with another one inside."""
        return self

    @abstractmethod
    def __call__(
        self,
        cell: Cell[CarryT],
        carry: CarryT,
        inputs: Inputs,
        constants: Constants,
        *,
        reverse: bool = False,
    ) -> tuple[CarryT, Any]:
        """Run all steps; return the last carry and the outputs of all steps, time-major.

        Equal to ``advance`` step by step; with ``reverse`` from the last step to the first, and the
        outputs keep their positions.
        """


def advance(
    cell: Cell[CarryT], carry: CarryT, inputs: Inputs, constants: Constants
) -> tuple[CarryT, Any]:
    """One step of a scan: reset, step and mask. All leaves of ``inputs`` are those of one step."""
    batch = inputs.x.shape[: inputs.x.ndim - cell.num_feature_axes]
    return advance_projected(
        cell, carry, inputs._replace(x=cell.project(inputs.x)), constants, batch
    )


def advance_projected(
    cell: Cell[CarryT],
    carry: CarryT,
    inputs: Inputs,
    constants: Constants,
    batch: tuple[Size, ...],
) -> tuple[CarryT, Any]:
    """``advance`` where ``inputs.x`` is the result of ``cell.project``."""
    before = carry
    if inputs.resets is not None:
        before = only(inputs.resets, constants.initial, carry)
    noise = noise_of(inputs.noise, constants.noise)
    new, y = cell.step(before, inputs.x, *(() if noise is None else (noise,)))
    check_output(cell, main(y), batch)
    zero = jax.tree.map(jnp.zeros_like, y)
    return only(inputs.mask, (like(new, carry), y), (carry, zero))


def finished(cell: Cell, ys: Any, inputs: Inputs) -> Any:
    """Outputs of the innermost cell for all steps, passed through the wrappers around it."""
    outputs = after(cell, ys, inputs.x)
    if outputs is ys or inputs.mask is None:
        return outputs
    return only(inputs.mask, outputs, jax.tree.map(jnp.zeros_like, outputs))


def noise_of(step: Any, sequence: Any) -> Noise | None:
    return None if step is None and sequence is None else Noise(step, sequence)


def check_options(scan: Any, *more: str) -> None:
    """Check ``unroll`` and ``project`` of a scan; ``more`` are other values of ``project``."""
    name = type(scan).__name__
    if scan.unroll is not None:
        check_count(f"{name}.unroll", scan.unroll)
    if scan.project not in ("auto", "before", "inside", *more):
        raise ValueError(
            f"{name}.project: expected 'auto', 'before' or 'inside', got {scan.project!r}"
        )
