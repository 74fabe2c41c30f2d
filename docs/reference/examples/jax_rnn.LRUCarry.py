import jax.numpy as jnp
from flax import nnx

from jax_rnn import LRUCarry, LRUCell

cell = LRUCell(3, 4, rngs=nnx.Rngs(0))
start = LRUCarry(jnp.ones((2, 4), jnp.complex64))
carry, y = cell(start, jnp.zeros((2, 3)))
assert (abs(carry.h) < 1).all()  # stable: without input the state decays
assert y.dtype == jnp.float32  # outputs are real
