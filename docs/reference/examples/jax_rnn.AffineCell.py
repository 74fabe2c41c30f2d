import jax.numpy as jnp
from flax import nnx

from jax_rnn import AffineCell, GRUCell

cell = GRUCell(3, 4, rngs=nnx.Rngs(0))
assert isinstance(cell, AffineCell)  # so are all cells of torch.nn
assert cell.weight_ih.shape == (3 * 4, 3)  # three gates, stacked as in torch
assert cell.weight_hh.shape == (3 * 4, 4)
carry = cell.initialize_carry((2, 3))
carry, y = cell(carry, jnp.ones((2, 3)))  # y: (2, 4)
