import jax.numpy as jnp
from flax import nnx

from jax_rnn.cells import SLSTMCarry, SLSTMCell

cell = SLSTMCell(3, 4, rngs=nnx.Rngs(0))
carry = cell.initialize_carry((2, 3))
assert isinstance(carry, SLSTMCarry)
(h, c, n, m), y = cell(carry, jnp.ones((2, 3)))
assert h.shape == c.shape == n.shape == m.shape == (2, 4)
