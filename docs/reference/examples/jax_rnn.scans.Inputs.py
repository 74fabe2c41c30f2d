import jax.numpy as jnp
from flax import nnx

from jax_rnn import GRUCell
from jax_rnn.scans import Constants, Inputs, Sequential

cell = GRUCell(3, 4, rngs=nnx.Rngs(0))
start = cell.initialize_carry((2, 3))
mask = jnp.array([[True, True], [True, False]])  # the second row has one step
inputs = Inputs(jnp.ones((2, 2, 3)), mask=mask)
last, ys = Sequential()(cell, start, inputs, Constants(initial=start))
assert inputs.steps == 2 and (ys[1, 1] == 0).all()
