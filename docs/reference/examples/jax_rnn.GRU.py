import jax.numpy as jnp
from flax import nnx

from jax_rnn import GRU

layer = GRU(3, 4, num_layers=2, bidirectional=True, batch_first=True, rngs=nnx.Rngs(0))
x = jnp.ones((5, 7, 3))  # (B, T, I)
output, h_n = layer(x, lengths=jnp.array([7, 7, 6, 4, 1]))
assert output.shape == (5, 7, 2 * 4)  # both directions side by side
assert h_n.shape == (2 * 2, 5, 4)  # layers * directions first
assert (output[4, 1:] == 0).all()  # after the end of the last row
