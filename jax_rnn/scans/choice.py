"""The choice of the scan."""

import math
from functools import partial
from typing import Any, Literal, get_args

import jax

from jax_rnn.arguments import check_count
from jax_rnn.cells.base import Cell
from jax_rnn.scans.chunks import in_chunks
from jax_rnn.scans.gated import gated, supports, supports_kind
from jax_rnn.scans.placement import placed
from jax_rnn.scans.sequential import sequential
from jax_rnn.typing import Array, Bool, CarryT, Float, Size, is_symbolic

__all__ = ["Scan", "check_scan", "chosen", "run"]

Scan = Literal["auto", "gated", "sequential"]


TINY = 64
"""Number of hidden units times batch size below which the gated scan is slower.

XLA on CPU runs small programs in the calling thread, which is four times faster than in another
thread. It counts a product outside a loop fully, but one inside the loop only once. A symbolic
size, in a program exported for any batch, is not tiny.
"""


def chosen(cell: Cell, rows: Size, scan: Scan = "auto") -> Literal["gated", "sequential"]:
    """The name of the scan for the cell and this number of rows.

    ``"auto"`` is ``"gated"`` if it supports the cell and a step is not tiny.
    """
    fast = scan == "gated"
    if scan == "auto":
        fast = not _tiny(cell, rows) and supports(cell)
    return "gated" if fast else "sequential"


def _tiny(cell: Cell, rows: Size) -> bool:
    size = rows * cell.hidden_size
    return not is_symbolic(size) and size < TINY


def check_scan(scan: Any, checkpoint_every: Any, *kinds: type[Cell]) -> None:
    """Check the options of ``run`` for cells of these classes."""
    if scan not in get_args(Scan):
        raise ValueError(
            f"scan: expected 'auto', 'gated' or 'sequential', got {scan!r}; 'auto' uses the fast "
            "one if it supports the cell"
        )
    if checkpoint_every is not None:
        check_count("checkpoint_every", checkpoint_every)
    for kind in kinds:
        if scan == "gated" and not supports_kind(kind):
            raise ValueError(
                "scan='gated': expected a GatedCell that writes update and leaves project, recur, "
                f"by_gate and step as they are, got {kind.__name__}; scan='auto' runs it step by "
                "step"
            )


@partial(jax.jit, static_argnames=("reverse", "unroll", "scan", "checkpoint_every"))
def run(
    cell: Cell[CarryT],
    carry: CarryT,
    xs: Float[Array, "T *batch I"],
    *,
    mask: Bool[Array, "T *batch"] | None = None,
    reverse: bool = False,
    unroll: int = 1,
    scan: Scan = "auto",
    checkpoint_every: int | None = None,
) -> tuple[CarryT, Float[Array, "T *batch O"]]:
    """Run the cell over all steps with the scan of ``chosen``; see also ``sequential``.

    ``checkpoint_every`` is the number of steps between the carries stored for the gradient; a
    sequence of symbolic length is neither divided nor unrolled.
    """
    cell, carry, xs, mask = placed(cell, carry, xs, mask)
    steps, *batch, _ = xs.shape
    rows = math.prod(batch)
    unroll = 1 if is_symbolic(steps) else unroll
    if chosen(cell, rows, scan) == "gated":
        function = partial(gated, unroll=unroll)
    else:
        function = partial(sequential, unroll=unroll, project_first=not _tiny(cell, rows))
    if checkpoint_every is None or is_symbolic(steps) or checkpoint_every >= steps:
        return function(cell, carry, xs, mask=mask, reverse=reverse)
    return in_chunks(function, checkpoint_every, cell, carry, xs, mask, reverse)
