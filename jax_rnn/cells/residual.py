"""A cell whose output is added to its input."""

from jax_rnn.base.typing import Array, CarryT
from jax_rnn.cells.base import Cell
from jax_rnn.cells.inputs import is_one_array
from jax_rnn.cells.wrapper import Wrapper

__all__ = ["Residual"]


class Residual(Wrapper[CarryT]):
    r"""The cell with a connection around it.

    .. math::
        y_t = x_t + \tilde y_t

    where :math:`\tilde y_t` is the output of the cell; the carry is that of the cell.

    Args:
        cell: a cell whose output has as many features as its input.

    Raises:
        TypeError: not a cell, or one that reads several arrays. ValueError: other sizes.

    Source: Y. Wu et al., "Google's neural machine translation system", 2016, section 3.1.
    """

    def __init__(self, cell: Cell[CarryT]):
        super().__init__(cell)
        if not is_one_array(cell):
            raise TypeError(
                "Residual: expected a cell that reads one array, to which its output is added, got "
                f"{type(cell).__name__} with input_size {cell.input_size}"
            )
        if cell.output_size != cell.input_size:
            raise ValueError(
                "Residual: expected a cell with as many output features as input features, got "
                f"{cell.output_size} and {cell.input_size}"
            )

    def after(self, y: Array, x: Array) -> Array:
        return y + x
