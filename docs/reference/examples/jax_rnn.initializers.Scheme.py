from dataclasses import replace

import jax
from flax import nnx

from jax_rnn import GRU
from jax_rnn.base.initializers import TORCH, Scheme, per_gate

small: Scheme = replace(TORCH, name="small", weight_ih=per_gate(jax.nn.initializers.normal(0.01)))
layer = GRU(3, 4, init=small, rngs=nnx.Rngs(0))
assert abs(layer.cells[0].weight_ih[...]).max() < 0.1
