import jax.numpy as jnp
from flax import nnx

from jax_rnn import LSTMCarry
from jax_rnn.cells import PeepholeLSTMCell

cell = PeepholeLSTMCell(3, 4, rngs=nnx.Rngs(0))
x, h, c = jnp.ones((2, 3)), jnp.zeros((2, 4)), jnp.ones((2, 4))
carry, y = cell(LSTMCarry(h, c), x)  # the gates read c, too
assert y.shape == (2, 4)
