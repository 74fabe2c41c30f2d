import jax.numpy as jnp
from flax import nnx

from jax_rnn import LSTM
from jax_rnn.scans import Gated

layer = LSTM(3, 4, scan=Gated(unroll=2, project="before"), rngs=nnx.Rngs(0))
output, _ = layer(jnp.ones((8, 2, 3)))  # the input map of all steps is one product
assert output.shape == (8, 2, 4)
print(LSTM(3, 4, rngs=nnx.Rngs(0)).chosen_scans((8, 2, 3)))  # what "auto" chooses
