import jax.numpy as jnp

from jax_rnn import pack_padded_sequence, pad_packed_sequence

x = jnp.ones((5, 3, 2))  # (T, B, I)
packed = pack_padded_sequence(x, [2, 5, 1], enforce_sorted=False)
padded, lengths = pad_packed_sequence(packed, padding_value=-1.0)
assert padded.shape == (5, 3, 2) and lengths.tolist() == [2, 5, 1]
assert (padded[2:, 0] == -1).all()
