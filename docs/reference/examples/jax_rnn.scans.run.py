import jax.numpy as jnp
from flax import nnx

from jax_rnn import GRUCell
from jax_rnn.scans import run

cell = GRUCell(3, 4, rngs=nnx.Rngs(0))
carry, ys = run(cell, cell.initialize_carry((2, 3)), jnp.ones((7, 2, 3)), reverse=True)
assert ys.shape == (7, 2, 4)
assert (carry.h == ys[0]).all()  # from the last step to the first
