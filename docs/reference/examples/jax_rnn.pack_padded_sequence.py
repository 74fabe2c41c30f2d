import jax.numpy as jnp

from jax_rnn import pack_padded_sequence

x = jnp.array([[1, 4, 6], [2, 5, 0], [3, 0, 0]])  # (T, B): the columns 1 2 3, 4 5 and 6
packed = pack_padded_sequence(x, [3, 2, 1])
assert packed.data.tolist() == [1, 4, 6, 2, 5, 3]  # step by step, without padding
