import jax.numpy as jnp
from flax import nnx

from jax_rnn import GRU
from jax_rnn.scans import Sequential

layer = GRU(3, 4, scan=Sequential(unroll=4), rngs=nnx.Rngs(0))  # four steps in a turn of the loop
output, _ = layer(jnp.ones((8, 2, 3)))
assert output.shape == (8, 2, 4)
