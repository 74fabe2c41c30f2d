import jax.numpy as jnp

from jax_rnn.train import Repeated

batches = Repeated({"x": jnp.ones((8, 3)), "y": jnp.zeros(8)})  # what fit makes of arrays
assert batches.size == 8 and batches.per_epoch == 1
assert batches(5, slice(0, 2))["x"].shape == (2, 3)  # two rows of the batch of step 5
