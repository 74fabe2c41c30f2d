import jax.numpy as jnp

from jax_rnn import PackedSequence, pack_padded_sequence

x = jnp.arange(10.0).reshape(5, 2, 1)  # (T, B, I)
packed = pack_padded_sequence(x, [5, 2])
assert isinstance(packed, PackedSequence)
assert packed.data.shape == (7, 1)  # the 5 + 2 valid steps
assert packed.batch_sizes.tolist() == [2, 2, 1, 1, 1]  # rows at every step
