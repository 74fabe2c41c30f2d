import jax.numpy as jnp
from flax import nnx

from jax_rnn import RNN

layer = RNN(3, 4, nonlinearity="relu", batch_first=True, rngs=nnx.Rngs(0))
output, h_n = layer(jnp.ones((2, 7, 3)))  # (B, T, I)
assert output.shape == (2, 7, 4) and h_n.shape == (1, 2, 4)
assert (output >= 0).all()
