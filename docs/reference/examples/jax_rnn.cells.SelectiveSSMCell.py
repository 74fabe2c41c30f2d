import jax
from flax import nnx

from jax_rnn import Recurrent
from jax_rnn.cells import SelectiveSSMCell

cell = SelectiveSSMCell(8, state_size=4, rank=2, rngs=nnx.Rngs(0))
layer = Recurrent(cell, scan="associative")
output, state = layer(jax.random.normal(jax.random.key(0), (64, 2, 8)))
assert output.shape == (64, 2, 8)
assert state.shape == (1, 2, 8, 4)  # (layers, B, H, N)
