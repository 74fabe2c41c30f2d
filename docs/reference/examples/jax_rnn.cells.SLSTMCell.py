import jax.numpy as jnp
from flax import nnx

from jax_rnn import Recurrent
from jax_rnn.cells import SLSTMCell

cell = SLSTMCell(3, 8, heads=2, rngs=nnx.Rngs(0))
print(cell.weight_hh.shape)  # a map for each head, within its four features
output, (h_n, c_n, n_n, m_n) = Recurrent(cell)(jnp.ones((7, 2, 3)))
assert output.shape == (7, 2, 8)
