from dataclasses import replace

import jax
from flax import nnx

from jax_rnn import GRU, initializers

small: initializers.Scheme = replace(
    initializers.TORCH,
    name="small",
    weight_ih=initializers.per_gate(jax.nn.initializers.normal(0.01)),
)
layer = GRU(3, 4, init=small, rngs=nnx.Rngs(0))
assert abs(layer.cells[0].weight_ih[...]).max() < 0.1
