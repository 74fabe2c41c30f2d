import jax.numpy as jnp
from flax import nnx

from jax_rnn import GRUCell, LSTMCell, Recurrent

rngs = nnx.Rngs(0)
layer = Recurrent(
    (GRUCell(3, 4, rngs=rngs), GRUCell(3, 4, rngs=rngs)),  # a pair is bidirectional
    LSTMCell(8, 5, rngs=rngs),
)
output, states = layer(jnp.ones((7, 2, 3)))  # (T, B, I)
assert output.shape == (7, 2, 5)
