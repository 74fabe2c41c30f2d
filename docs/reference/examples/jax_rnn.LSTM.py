import jax.numpy as jnp
from flax import nnx

from jax_rnn import LSTM

layer = LSTM(3, 4, num_layers=2, rngs=nnx.Rngs(0))
x = jnp.ones((7, 5, 3))  # (T, B, I)
output, (h_n, c_n) = layer(x)
assert output.shape == (7, 5, 4)
assert h_n.shape == c_n.shape == (2, 5, 4)  # layers first
output, _ = layer(x, (h_n, c_n))  # continue from these states
