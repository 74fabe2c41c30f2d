import jax.numpy as jnp
from flax import nnx

from jax_rnn import GRU, Linear

rngs = nnx.Rngs(0)
layer, linear = GRU(3, 4, rngs=rngs), Linear(4, 10, rngs=rngs)
output, _ = layer(jnp.ones((7, 2, 3)))
logits = linear(output)  # of every step
assert logits.shape == (7, 2, 10)
