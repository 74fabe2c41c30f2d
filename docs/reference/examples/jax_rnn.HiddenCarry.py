import jax.numpy as jnp
from flax import nnx

from jax_rnn import HiddenCarry, RNNCell

cell = RNNCell(3, 4, rngs=nnx.Rngs(0))
carry = HiddenCarry(h=jnp.full((2, 4), 0.5))  # instead of zeros
carry, y = cell(carry, jnp.ones((2, 3)))
assert (carry.h == y).all()
