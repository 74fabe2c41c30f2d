import jax
import jax.numpy as jnp
from flax import nnx

from jax_rnn import Recurrent
from jax_rnn.cells import LayerNormLSTMCell

layer = Recurrent(LayerNormLSTMCell(3, 4, bias=False, rngs=nnx.Rngs(0)))
x = jax.random.normal(jax.random.key(0), (7, 2, 3))
output, (h_n, c_n) = layer(x)
scaled, _ = layer(100 * x)
assert jnp.allclose(output, scaled, atol=0.05)  # the scale of the input hardly matters
