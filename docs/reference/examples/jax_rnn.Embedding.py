import jax.numpy as jnp
from flax import nnx

from jax_rnn import Embedding

embedding = Embedding(10, 4, rngs=nnx.Rngs(0))  # ten symbols
vectors = embedding(jnp.array([[1, 2, 3], [3, 0, 9]]))
assert vectors.shape == (2, 3, 4)
assert (vectors[0, 2] == vectors[1, 0]).all()  # the same symbol, the same vector
