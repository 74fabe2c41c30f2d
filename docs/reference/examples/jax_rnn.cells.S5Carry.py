import jax.numpy as jnp
from flax import nnx

from jax_rnn.cells import S5Carry, S5Cell

cell = S5Cell(3, 4, rngs=nnx.Rngs(0))
carry = cell.initialize_carry((2, 3))
assert isinstance(carry, S5Carry) and carry.h.dtype == jnp.complex64
carry, y = cell(carry, jnp.ones((2, 3)))
assert y.dtype == jnp.float32
