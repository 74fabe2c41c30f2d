import jax.numpy as jnp
from flax import nnx

from jax_rnn import LSTMCarry, LSTMCell

cell = LSTMCell(3, 4, rngs=nnx.Rngs(0))
carry = LSTMCarry(h=jnp.zeros((2, 4)), c=jnp.ones((2, 4)))
(h, c), y = cell(carry, jnp.ones((2, 3)))
assert (h == y).all() and c.shape == (2, 4)
