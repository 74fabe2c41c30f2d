"""The choice of the scan, for the platform that a program is lowered for."""

from typing import Any

import jax

from jax_rnn.base.typing import Size
from jax_rnn.cells.base import Cell
from jax_rnn.cells.gated import GatedCell
from jax_rnn.cells.linear import LinearCell
from jax_rnn.scans.associative import Associative
from jax_rnn.scans.base import Scan, Unsupported, check_form
from jax_rnn.scans.gated import Gated
from jax_rnn.scans.newton import Newton
from jax_rnn.scans.parallel_adjoint import ParallelAdjoint
from jax_rnn.scans.sequential import Sequential
from jax_rnn.scans.tpu import Tpu

__all__ = ["AUTO", "Choice", "check_scan", "choice", "chosen", "named", "why_slow"]

AUTO: tuple[Scan, ...] = (Associative(), Gated(), Sequential())
"""``scan="auto"`` is the first of these that supports the cell, the shape and the platform."""

NAMES: dict[str, Scan] = {
    "associative": Associative(),
    "gated": Gated(),
    "sequential": Sequential(),
    "newton": Newton(),
    "parallel_adjoint": ParallelAdjoint(),
    "tpu": Tpu(),
}


def named(scan: Any) -> Any:
    """The scan of a name; ``"auto"`` and scans as they are.

    Raises:
        ValueError: neither a name nor a scan. TypeError: a scan that can be changed.
    """
    if isinstance(scan, str) and scan in ("auto", *NAMES):
        return NAMES.get(scan, scan)
    if not isinstance(scan, Scan):
        raise ValueError(
            f"scan: expected 'auto', {', '.join(map(repr, NAMES))} or a jax_rnn.scans.Scan, "
            f"got {scan!r}; 'auto' chooses by cell, size and platform"
        )
    check_form(scan)
    return scan


def chosen(cell: Cell, shape: Any, scan: Scan | str, platform: str) -> Scan:
    """The scan for the cell on inputs of shape (T, *batch, I), with every option resolved.

    ``scan`` is one that ``named`` has checked.
    """
    if scan == "auto":
        scan = next(value for value in AUTO if value.suits(cell, shape, platform))
    value: Any = NAMES.get(scan) if isinstance(scan, str) else scan
    return value.resolved(cell, shape, platform)


def check_scan(scan: Any, cells: Any) -> None:
    """Check that ``scan`` is a scan or a name, and that it can run the cells."""
    value: Any = named(scan)
    if scan == "auto":
        return
    for cell in cells:
        if not (found := value.supports(cell)):
            why = getattr(found, "why", f"expected another cell, got {type(cell).__name__}")
            raise ValueError(f"scan={scan!r}: {why}; scan='auto' chooses one that supports it")


class Choice(tuple[Scan, ...]):
    """The scans of a layer, one for each cell.

    Attributes:
        reasons: for each cell, why the scan made for its kind does not run it; None if it does.
    """

    reasons: tuple[str | None, ...]

    def __repr__(self) -> str:
        return "\n".join([super().__repr__(), *(why for why in self.reasons if why)])


def choice(reads: list[tuple[Cell, Any]], steps: Size, scan: Scan | str, platform: str) -> Choice:
    """The scan of every cell, given what it reads in one step."""
    shapes = [jax.tree.map(lambda leaf: (steps, *leaf.shape), x) for _, x in reads]
    cells = [cell for cell, _ in reads]
    pairs = zip(cells, shapes, strict=True)
    found = Choice(chosen(cell, shape, scan, platform) for cell, shape in pairs)
    found.reasons = tuple(map(why_slow, cells, found))
    return found


def why_slow(cell: Cell, scan: Scan) -> str | None:
    """Why ``scan="auto"`` takes the sequential scan for a cell made for a faster one."""
    core = cell._core()
    if not isinstance(scan, Sequential):
        return None
    for kind, fast in ((LinearCell, Associative()), (GatedCell, Gated())):
        found = isinstance(core, kind) and fast.supports(cell)
        if isinstance(found, Unsupported):
            return f"{type(cell).__name__} does not run on {type(fast).__name__}: {found.why}"
    return None
