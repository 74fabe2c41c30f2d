import jax.numpy as jnp
from flax import nnx

from jax_rnn import ProjectedLSTMCell

cell = ProjectedLSTMCell(3, 8, proj_size=2, rngs=nnx.Rngs(0))
carry, y = cell(cell.initialize_carry((5, 3)), jnp.ones((5, 3)))
assert carry.c.shape == (5, 8)
assert carry.h.shape == y.shape == (5, 2)  # the hidden map reads two features
