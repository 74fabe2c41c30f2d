"""Tests for users: of cells, of scans, and of the parity of a model with torch."""

from jax_rnn.testing.exam import CellExamError, check_cell
from jax_rnn.testing.ladder import ParityError, check_parity, climb
from jax_rnn.testing.rung import Rung
from jax_rnn.testing.scan_exam import ScanExamError, check_scan

__all__ = [
    "CellExamError",
    "ParityError",
    "Rung",
    "ScanExamError",
    "check_cell",
    "check_parity",
    "check_scan",
    "climb",
]
