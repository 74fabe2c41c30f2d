import jax.numpy as jnp
from flax import nnx

from jax_rnn.cells import MLSTMCarry, MLSTMCell

cell = MLSTMCell(3, 8, heads=2, rngs=nnx.Rngs(0))
carry = cell.initialize_carry((5, 3))
assert isinstance(carry, MLSTMCarry)
assert carry.c.shape == (5, 2, 4, 4)  # a 4 x 4 memory for each of two heads
carry, y = cell(carry, jnp.ones((5, 3)))
assert y.shape == (5, 8)
