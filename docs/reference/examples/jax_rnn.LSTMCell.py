import jax
import jax.numpy as jnp
from flax import nnx

from jax_rnn import LSTMCell

cell = LSTMCell(3, 4, rngs=nnx.Rngs(0))
xs = jnp.ones((5, 2, 3))  # (T, B, I)
carry, ys = jax.lax.scan(lambda carry, x: cell(carry, x), cell.initialize_carry((2, 3)), xs)
assert ys.shape == (5, 2, 4)
assert carry.h.shape == carry.c.shape == (2, 4)
