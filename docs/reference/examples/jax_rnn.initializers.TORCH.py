from dataclasses import replace

import jax.numpy as jnp
from flax import nnx

from jax_rnn import RNNCell, initializers

scheme = replace(initializers.TORCH, name="orthogonal", weight_hh=initializers.FLAX.weight_hh)
cell = RNNCell(3, 4, init=scheme, rngs=nnx.Rngs(0))
weight = cell.weight_hh[...]
assert jnp.allclose(weight @ weight.T, jnp.eye(4), atol=1e-5)
