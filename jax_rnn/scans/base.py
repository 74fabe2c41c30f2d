"""The contract of a scan, which runs a cell over time."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple

from jax_rnn.arguments import check_count
from jax_rnn.cells.base import Cell
from jax_rnn.typing import Array, Bool, CarryT, Size

__all__ = ["Constants", "Inputs", "Scan", "check_options"]


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


def check_options(scan: Any, *more: str) -> None:
    """Check ``unroll`` and ``project`` of a scan; ``more`` are other values of ``project``."""
    name = type(scan).__name__
    if scan.unroll is not None:
        check_count(f"{name}.unroll", scan.unroll)
    if scan.project not in ("auto", "before", "inside", *more):
        raise ValueError(
            f"{name}.project: expected 'auto', 'before' or 'inside', got {scan.project!r}"
        )
