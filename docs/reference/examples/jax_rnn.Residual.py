import jax.numpy as jnp
from flax import nnx

from jax_rnn import GRUCell, Residual

cell = GRUCell(4, 4, rngs=nnx.Rngs(0))  # input and output have the same size
carry, x = cell.initialize_carry((2, 4)), jnp.ones((2, 4))
_, y = cell(carry, x)
_, around = Residual(cell)(carry, x)
assert jnp.allclose(around, x + y)
