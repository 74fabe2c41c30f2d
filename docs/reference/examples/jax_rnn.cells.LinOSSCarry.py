import jax.numpy as jnp
from flax import nnx

from jax_rnn.cells import LinOSSCarry, LinOSSCell

cell = LinOSSCell(3, 4, rngs=nnx.Rngs(0))
start = LinOSSCarry(jnp.ones((2, 4, 2)))  # two numbers for each of four oscillators
carry, y = cell(start, jnp.zeros((2, 3)))
assert carry.h.shape == (2, 4, 2)
