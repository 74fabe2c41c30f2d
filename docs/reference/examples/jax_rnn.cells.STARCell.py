import jax
from flax import nnx

from jax_rnn import Recurrent
from jax_rnn.cells import STARCell

rngs = nnx.Rngs(0)
layer = Recurrent(*(STARCell(size, 4, rngs=rngs) for size in (3, 4, 4)))  # a deep stack
output, h_n = layer(jax.random.normal(jax.random.key(0), (7, 2, 3)))
assert output.shape == (7, 2, 4) and h_n.shape == (3, 2, 4)
