import jax
from flax import nnx

from jax_rnn import Recurrent
from jax_rnn.cells import MLSTMCell

layer = Recurrent(MLSTMCell(3, 8, heads=2, rngs=nnx.Rngs(0)))
output, states = layer(jax.random.normal(jax.random.key(0), (7, 2, 3)))
assert output.shape == (7, 2, 8)
