from dataclasses import replace

import jax
from flax import nnx

from jax_rnn import GRUCell, initializers

small: initializers.Scheme = replace(
    initializers.TORCH,
    name="small",
    weight_ih=initializers.per_gate(jax.nn.initializers.normal(0.01)),
)
cell = GRUCell(3, 4, init=small, rngs=nnx.Rngs(0))
assert abs(cell.weight_ih[...]).max() < 0.1
