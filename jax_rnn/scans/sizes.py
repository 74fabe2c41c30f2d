"""Sizes of a cell and its inputs that decide how the cell is run."""

import math
from typing import Any

import jax

from jax_rnn.base.typing import Size, accumulator, is_symbolic
from jax_rnn.cells.base import Cell
from jax_rnn.cells.inputs import example, leaves_of, shape_of
from jax_rnn.cells.linear import LinearCell

__all__ = ["is_tiny", "is_wide", "projects_inside", "rows_of", "steps_of"]

TINY = 64
"""Number of hidden units times batch size below which the gated scan is slower.

XLA on CPU runs small programs in the calling thread, which is four times faster than in another
thread. It counts a product outside a loop fully, but one inside the loop only once. A symbolic
size, in a program exported for any batch, is not tiny.
"""

WIDE = 8
"""A carry of at least so many numbers per hidden unit is wide.

The coefficients of a linear cell with such a carry are cheaper to compute again at every step than
to store for all steps and to read, on a CPU.
"""

IN_LOOP_BYTES = 2**25
"""On CPU, inputs whose projection is larger are projected step by step in the loop.

A symbolic number of steps or rows counts as large.
"""

IN_LOOP_WEIGHT_BYTES = (400_000, 2_600_000)
"""If steps are stored for the gradient, this also applies to cells of several gates whose input
weight has this size, about that of a core's cache, and batches of at least some rows."""

CHANGED_READ_BYTES = 700_000
"""The smallest such weight if the argument of the hidden map is not h. That product then waits for
the change, and competes with the one of the inputs."""

SOME_ROWS = 4


def steps_of(cell: Cell, shape: Any) -> Size:
    """T, for inputs of shape (T, *batch, I), or a tree of such shapes."""
    return leaves_of(cell, shape)[0][0][0]


def rows_of(cell: Cell, shape: Any) -> Size:
    """The number of sequences in inputs of shape (T, *batch, I), or a tree of such shapes."""
    leaf, axes, *_ = leaves_of(cell, shape)[0]
    return math.prod(leaf[1 : len(leaf) - axes])


def is_tiny(cell: Cell, shape: Any) -> bool:
    """Whether a step on inputs of shape (T, *batch, I) is tiny."""
    size = rows_of(cell, shape) * cell.hidden_size
    return not is_symbolic(size) and size < TINY


def is_wide(core: LinearCell) -> bool:
    """Whether the carry is wide, as that of a state space model with states for every feature."""
    carry = jax.eval_shape(lambda: core.initialize_carry(shape_of(example(core))))
    numbers = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(carry))
    return numbers >= WIDE * core.hidden_size


def projects_inside(cell: Cell, shape: Any, keep: bool, changed: bool = False) -> bool:
    """Whether inputs of an affine cell, also in wrappers, are projected in the loop on a CPU.

    ``keep``: steps are stored for the gradient; ``changed``: the hidden map does not read h itself.
    """
    core: Any = cell._core()
    rows, width = rows_of(cell, shape), len(core.gates) * core.hidden_size
    size = steps_of(cell, shape) * rows * width * accumulator(core.dtype).itemsize
    if is_symbolic(size) or size > IN_LOOP_BYTES:
        return True
    least, most = IN_LOOP_WEIGHT_BYTES
    least = CHANGED_READ_BYTES if changed else least
    weight = core.weight_ih
    fits = least <= math.prod(weight.shape) * weight.dtype.itemsize <= most
    return keep and fits and len(core.gates) > 1 and rows >= SOME_ROWS
