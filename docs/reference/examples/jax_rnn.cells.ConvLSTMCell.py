import jax.numpy as jnp
from flax import nnx

from jax_rnn import Recurrent
from jax_rnn.cells import ConvLSTMCell

cell = ConvLSTMCell(1, 4, kernel_size=3, rngs=nnx.Rngs(0))
video = jnp.ones((5, 2, 8, 6, 1))  # (T, B, height, width, I)
output, (h_n, c_n) = Recurrent(cell)(video)
assert output.shape == (5, 2, 8, 6, 4)
assert h_n.shape == (1, 2, 8, 6, 4)
