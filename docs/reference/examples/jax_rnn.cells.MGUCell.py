import jax.numpy as jnp
from flax import nnx

from jax_rnn import GRUCell, Recurrent
from jax_rnn.cells import MGUCell

rngs = nnx.Rngs(0)
cell = MGUCell(3, 4, rngs=rngs)
assert cell.weight_hh.shape == (2 * 4, 4)  # one gate and the candidate
assert GRUCell(3, 4, rngs=rngs).weight_hh.shape == (3 * 4, 4)  # two gates
output, h_n = Recurrent(cell)(jnp.ones((7, 2, 3)))
assert output.shape == (7, 2, 4)
