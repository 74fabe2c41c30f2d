import jax.numpy as jnp
from flax import nnx

from jax_rnn.analysis import gate_activations
from jax_rnn.cells import MGUCell

cell = MGUCell(3, 4, rngs=nnx.Rngs(0))
gates = gate_activations(cell, jnp.ones((7, 2, 3)))
assert len(gates) == 2  # one gate and the candidate; a GRU has three
assert cell.weight_hh.shape == (2 * 4, 4)
