import jax
from flax import nnx

from jax_rnn import Recurrent
from jax_rnn.analysis import step_jacobians
from jax_rnn.cells import IndRNNCell

cell = IndRNNCell(3, 4, rngs=nnx.Rngs(0))
x = jax.random.normal(jax.random.key(0), (7, 2, 3))
output, _ = Recurrent(cell)(x)  # (7, 2, 4)
jacobians = step_jacobians(cell, x)
diagonal = jax.numpy.eye(4, dtype=bool)
assert (jacobians[..., ~diagonal] == 0).all()  # a feature reads its own past only
