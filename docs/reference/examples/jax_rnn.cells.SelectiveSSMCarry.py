import jax.numpy as jnp
from flax import nnx

from jax_rnn.cells import SelectiveSSMCarry, SelectiveSSMCell

cell = SelectiveSSMCell(8, state_size=4, rngs=nnx.Rngs(0))
carry = cell.initialize_carry((2, 8))
assert isinstance(carry, SelectiveSSMCarry)
assert carry.h.shape == (2, 8, 4)  # four states for every feature
carry, y = cell(carry, jnp.ones((2, 8)))
assert y.shape == (2, 8)
