import jax.numpy as jnp
from flax import nnx

from jax_rnn import LSTMCell
from jax_rnn.cells import CIFGLSTMCell

rngs = nnx.Rngs(0)
cell = CIFGLSTMCell(3, 4, rngs=rngs)
assert cell.weight_hh.shape == (3 * 4, 4)  # the input gate is 1 - f
assert LSTMCell(3, 4, rngs=rngs).weight_hh.shape == (4 * 4, 4)
carry, y = cell(cell.initialize_carry((2, 3)), jnp.ones((2, 3)))  # y: (2, 4)
