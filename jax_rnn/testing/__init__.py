"""How a cell and a model are examined: the exam of a cell, the ladder of parity with torch."""

from jax_rnn.testing.exam import CellExamError, check_cell
from jax_rnn.testing.ladder import ParityError, Rung, check_parity, climb

__all__ = ["CellExamError", "ParityError", "Rung", "check_cell", "check_parity", "climb"]
