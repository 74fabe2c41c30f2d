import jax
import jax.numpy as jnp
from flax import nnx

from jax_rnn import LSTMCell, Recurrent, Zoneout

layer = Recurrent(Zoneout(LSTMCell(3, 4, rngs=nnx.Rngs(0)), h=0.05, c=0.5))
x = jnp.ones((7, 2, 3))
layer.train()
output, _ = layer(x, rngs=jax.random.key(0))  # half of c keeps its value at a step
layer.eval()
output, _ = layer(x)  # the expectation instead of random numbers
