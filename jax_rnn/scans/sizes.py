"""Sizes by which scans are chosen."""

import math

from jax_rnn.cells.base import Cell
from jax_rnn.typing import Size, is_symbolic

__all__ = ["is_tiny", "rows_of"]

TINY = 64
"""Number of hidden units times batch size below which the gated scan is slower.

XLA on CPU runs small programs in the calling thread, which is four times faster than in another
thread. It counts a product outside a loop fully, but one inside the loop only once. A symbolic
size, in a program exported for any batch, is not tiny.
"""


def is_tiny(cell: Cell, shape: tuple[Size, ...]) -> bool:
    """Whether a step on inputs of shape (T, *batch, I) is tiny."""
    size = rows_of(cell, shape) * cell.hidden_size
    return not is_symbolic(size) and size < TINY


def rows_of(cell: Cell, shape: tuple[Size, ...]) -> Size:
    """The number of sequences in inputs of shape (T, *batch, I)."""
    return math.prod(shape[1 : len(shape) - cell.num_feature_axes])
