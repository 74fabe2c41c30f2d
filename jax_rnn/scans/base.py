"""The contract of a scan, which runs a cell over time."""

import inspect
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax

from jax_rnn.base.arguments import check_count
from jax_rnn.base.typing import Array, Bool, CarryT, Size
from jax_rnn.cells.base import Cell

__all__ = ["Constants", "Inputs", "Scan", "Unsupported", "check_form", "check_options"]


class Inputs(NamedTuple):
    """What the steps of a scan read, time-major; a field is None if it is not used."""

    x: Any
    """The inputs of the cell inside all wrappers, arrays (T, *batch, I)."""
    mask: Bool[Array, "T *batch"] | None = None
    """True for valid steps. Inputs of invalid steps are zero."""
    resets: Bool[Array, "T *batch"] | None = None
    """True for steps before which the carry goes back to ``Constants.initial``."""
    noise: Any = None
    """The random numbers of every step."""

    @property
    def steps(self) -> Size:
        """T, the number of steps."""
        return jax.tree.leaves(self.x)[0].shape[0]


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["initial", "noise", "context"],
    meta_fields=["states"],
)
@dataclass(frozen=True)
class Constants:
    """What is the same in all steps; a field is None if it is not used."""

    initial: Any = None
    """The carry after a reset."""
    noise: Any = None
    """The random numbers of the sequence."""
    context: Any = None
    """What the layer was called with as ``context``."""
    states: bool = False
    """Whether the outputs are (y, carry) at every step, and not y alone."""


@dataclass(frozen=True)
class Unsupported:
    """A false value that says why, as "expected ..., got ..."."""

    why: str

    def __bool__(self) -> bool:
        return False


class Scan(ABC):
    """How a cell runs over time.

    A scan is an immutable value that can be compared and hashed, e.g. a frozen dataclass, since it
    is a static argument of compiled programs. Pass it to a layer, ``LSTM(..., scan=MyScan())``.
    """

    def supports(self, cell: Cell) -> "bool | Unsupported":
        """Whether it can run the cell: True (default), False, or ``Unsupported(why)``."""
        return True

    def suits(self, cell: Cell, shape: Any, platform: str) -> bool:
        """Whether ``scan="auto"`` may choose it on this platform.

        ``shape`` is that of the inputs, (T, *batch, I), or a tree of shapes.
        """
        return bool(self.supports(cell))

    def resolved(self, cell: Cell, shape: Any, platform: str) -> "Scan":
        """The same scan with all options chosen for this cell, shape and platform."""
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
    ) -> tuple[Any, ...]:
        """Run all steps; return the last carry and the outputs of all steps, time-major.

        Equal to ``advance`` step by step; with ``reverse`` from the last step to the first, and the
        outputs keep their positions. A third value, a tree of arrays, may say more about the run; a
        layer returns it with ``return_extras=True``.
        """


def check_form(scan: Scan) -> None:
    """Check that a scan is an immutable value, and that it can run backward.

    Raises:
        TypeError: it is not.
    """
    name = type(scan).__name__
    try:
        hash(scan)
    except TypeError as error:
        raise TypeError(
            f"scan: expected a scan that can be hashed, got {name}: {error}; use "
            "@dataclass(frozen=True), and numbers, strings or tuples as fields"
        ) from error
    if _can_change(scan):
        raise TypeError(
            f"scan: expected a scan that cannot be changed, since compiled programs depend on it, "
            f"got {name}, whose attributes can be set; use @dataclass(frozen=True)"
        )
    parameters = inspect.signature(type(scan).__call__).parameters
    if not any(p.name == "reverse" or p.kind is p.VAR_KEYWORD for p in parameters.values()):
        raise TypeError(
            f"scan: expected {name}.__call__(self, cell, carry, inputs, constants, *, "
            f"reverse=False), got ({', '.join(parameters)}); with reverse, run from the last step "
            "to the first"
        )


def _can_change(scan: Scan) -> bool:
    """Whether an attribute of the scan can be set; it is set to what it is."""
    try:
        for name, value in vars(scan).items():
            setattr(scan, name, value)
            return True
    except AttributeError:  # FrozenInstanceError is one
        pass
    return False


def check_options(scan: Any) -> None:
    """Check ``unroll`` and ``project`` of a scan."""
    name = type(scan).__name__
    if scan.unroll is not None:
        check_count(f"{name}.unroll", scan.unroll)
    if scan.project not in ("auto", "before", "inside"):
        raise ValueError(
            f"{name}.project: expected 'auto', 'before' or 'inside', got {scan.project!r}"
        )
