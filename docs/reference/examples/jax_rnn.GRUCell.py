import jax.numpy as jnp
from flax import nnx

from jax_rnn import GRUCell

cell = GRUCell(3, 4, rngs=nnx.Rngs(0))
carry = cell.initialize_carry((2, 3))  # zeros, for inputs (B, I)
for x_t in jnp.ones((5, 2, 3)):
    carry, y = cell(carry, x_t)
assert y.shape == carry.h.shape == (2, 4)
