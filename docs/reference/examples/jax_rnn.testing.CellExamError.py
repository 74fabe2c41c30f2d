import jax.numpy as jnp

from jax_rnn import Cell, HiddenCarry
from jax_rnn.testing import CellExamError, check_cell


class Mixed(Cell[HiddenCarry]):
    """A wrong cell: the rows of a batch are not independent."""

    input_size = hidden_size = 3

    def initialize_carry(self, input_shape, rngs=None, carry_init=None):
        return HiddenCarry(jnp.zeros(input_shape))

    def step(self, carry, x):
        h = jnp.tanh(carry.h + x - x.mean())
        return HiddenCarry(h), h


try:
    check_cell(Mixed())
except CellExamError as error:
    print(error.failed, error)
else:
    raise AssertionError("expected a CellExamError")
