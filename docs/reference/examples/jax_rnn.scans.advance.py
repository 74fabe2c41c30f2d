import jax.numpy as jnp
from flax import nnx

from jax_rnn import GRUCell
from jax_rnn.scans import Constants, Inputs, advance

cell = GRUCell(3, 4, rngs=nnx.Rngs(0))
start = cell.initialize_carry((2, 3))
now = Inputs(jnp.ones((2, 3)), mask=jnp.array([True, False]))  # of one step
carry, y = advance(cell, start, now, Constants(initial=start))
assert (carry.h[1] == start.h[1]).all()  # no step of the second row
