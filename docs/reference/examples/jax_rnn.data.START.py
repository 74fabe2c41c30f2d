import jax.numpy as jnp

from jax_rnn.data import START

batch = 8
first = jnp.full(batch, START)  # the first input of a decoder of dates
assert first.shape == (8,)
