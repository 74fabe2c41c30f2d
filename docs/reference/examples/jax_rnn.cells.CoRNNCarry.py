import jax.numpy as jnp
from flax import nnx

from jax_rnn.cells import CoRNNCarry, CoRNNCell

cell = CoRNNCell(3, 4, rngs=nnx.Rngs(0))
moving = CoRNNCarry(h=jnp.zeros((2, 4)), z=jnp.ones((2, 4)))  # positions and velocities
carry, y = cell(moving, jnp.zeros((2, 3)))
assert carry.h.shape == carry.z.shape == (2, 4)
