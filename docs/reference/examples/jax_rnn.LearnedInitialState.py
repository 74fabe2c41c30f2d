import jax.numpy as jnp
from flax import nnx

from jax_rnn import GRUCell, LearnedInitialState, Recurrent

cell = LearnedInitialState(GRUCell(3, 4, rngs=nnx.Rngs(0)))
layer = Recurrent(cell)
x = jnp.ones((5, 2, 3))
gradient = nnx.grad(lambda layer: (layer(x)[0] ** 2).sum())(layer)
plain = nnx.state(cell.cell, nnx.Param)
assert len(nnx.to_flat_state(gradient)) == len(nnx.to_flat_state(plain)) + 1  # the initial h
