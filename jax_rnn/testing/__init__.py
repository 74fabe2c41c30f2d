"""Tests for users: ``check_cell`` for cells, ``check_parity`` of a model with torch."""

from jax_rnn.testing.exam import CellExamError, check_cell
from jax_rnn.testing.ladder import ParityError, check_parity, climb
from jax_rnn.testing.rung import Rung

__all__ = ["CellExamError", "ParityError", "Rung", "check_cell", "check_parity", "climb"]
