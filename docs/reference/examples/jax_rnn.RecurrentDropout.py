import jax
import jax.numpy as jnp
from flax import nnx

from jax_rnn import LSTMCell, Recurrent, RecurrentDropout

layer = Recurrent(RecurrentDropout(LSTMCell(3, 4, rngs=nnx.Rngs(0)), rate=0.3))
x = jnp.ones((7, 2, 3))
trained, _ = layer(x, rngs=jax.random.key(0))  # a new mask in every step
layer.eval()
evaluated, _ = layer(x)  # no dropout, no random numbers
assert (trained != evaluated).any()
