import jax.numpy as jnp
from flax import nnx

from jax_rnn import Recurrent
from jax_rnn.cells import SLSTMCell

cell = SLSTMCell(3, 8, heads=2, rngs=nnx.Rngs(0))
assert cell.weight_hh.shape == (4 * 8, 4)  # each head reads its own four features only
output, states = Recurrent(cell)(jnp.ones((7, 2, 3)))
assert output.shape == (7, 2, 8)
