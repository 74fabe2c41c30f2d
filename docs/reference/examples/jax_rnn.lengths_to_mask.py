import jax.numpy as jnp

from jax_rnn import lengths_to_mask

mask = lengths_to_mask(jnp.array([2, 3]), 4)  # (T, B)
assert mask.astype(int).tolist() == [[1, 1], [1, 1], [0, 1], [0, 0]]
losses = jnp.ones((4, 2))
mean = jnp.where(mask, losses, 0).sum() / mask.sum()  # over valid steps
