import jax
import jax.numpy as jnp
from flax import nnx

from jax_rnn import GRUCell, Recurrent, VariationalDropout

cell = VariationalDropout(GRUCell(3, 4, rngs=nnx.Rngs(0)), input=0.2, hidden=0.3)
layer = Recurrent(cell)
x = jnp.ones((7, 2, 3))
output, _ = layer(x, rngs=jax.random.key(0))  # one mask for all seven steps
layer.eval()
output, _ = layer(x)  # (7, 2, 4), without dropout
