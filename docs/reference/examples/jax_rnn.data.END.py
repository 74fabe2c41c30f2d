import jax.numpy as jnp

from jax_rnn.data import END, START, read_dates

targets = jnp.asarray(read_dates(20).train.targets)
first = jnp.full((20, 1), START)
inputs = jnp.concatenate([first, targets[:, :-1]], axis=1)  # what a decoder reads
assert (targets[:, -1] == END).all() and inputs.shape == targets.shape
