import jax.numpy as jnp
from flax import nnx

from jax_rnn import HiddenCarry
from jax_rnn.cells import UGRNNCell

cell = UGRNNCell(3, 4, rngs=nnx.Rngs(0))
h = jnp.full((2, 4), 0.5)
carry, y = cell(HiddenCarry(h), jnp.ones((2, 3)))
assert (y > -1).all() and (y < 1).all()  # between the old state and a tanh
