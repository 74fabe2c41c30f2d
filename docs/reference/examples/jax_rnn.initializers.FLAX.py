import jax.numpy as jnp
from flax import nnx

from jax_rnn import GRUCell, initializers

cell = GRUCell(3, 4, init=initializers.FLAX, rngs=nnx.Rngs(0))  # or init="flax"
assert abs(cell.weight_hh[:4] @ cell.weight_hh[:4].T - jnp.eye(4)).max() < 1e-5  # orthogonal
