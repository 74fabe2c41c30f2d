import jax.numpy as jnp
from flax import nnx

from jax_rnn import GRU, OriginalGRUCell

cell = OriginalGRUCell(3, 4, rngs=nnx.Rngs(0))
carry, y = cell(cell.initialize_carry((2, 3)), jnp.ones((2, 3)))
assert y.shape == (2, 4)
layer = GRU(3, 4, reset_after=False, rngs=nnx.Rngs(0))  # a layer of this cell
assert isinstance(layer.cells[0], OriginalGRUCell)
