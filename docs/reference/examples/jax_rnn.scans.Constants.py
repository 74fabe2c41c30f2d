import jax.numpy as jnp
from flax import nnx

from jax_rnn import GRUCell, HiddenCarry
from jax_rnn.scans import Constants, Inputs, Sequential

cell = GRUCell(3, 4, rngs=nnx.Rngs(0))
start = HiddenCarry(jnp.zeros((2, 4)))
constants = Constants(initial=start, states=True)  # outputs are (y, carry) at every step
_, (ys, states) = Sequential()(cell, start, Inputs(jnp.ones((5, 2, 3))), constants)
assert (ys == states.h).all() and ys.shape == (5, 2, 4)
