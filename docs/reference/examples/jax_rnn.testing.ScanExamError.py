from dataclasses import dataclass

from flax import nnx

from jax_rnn import RNNCell
from jax_rnn.scans import Scan, Sequential
from jax_rnn.testing import ScanExamError, check_scan


@dataclass(frozen=True)
class Forward(Scan):
    """A wrong scan: it ignores ``reverse``."""

    def __call__(self, cell, carry, inputs, constants, *, reverse=False):
        return Sequential()(cell, carry, inputs, constants)


try:
    check_scan(Forward(), RNNCell(2, 3, rngs=nnx.Rngs(0)))
except ScanExamError as error:
    print(error)
else:
    raise AssertionError("expected a ScanExamError")
