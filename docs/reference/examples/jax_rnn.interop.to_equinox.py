import jax.numpy as jnp
from flax import nnx

from jax_rnn import LSTMCell
from jax_rnn.interop import to_equinox

ours = LSTMCell(3, 4, rngs=nnx.Rngs(0))
theirs = to_equinox(ours)
h, c = theirs(jnp.ones(3), (jnp.zeros(4), jnp.ones(4)))
assert jnp.allclose(h, ours((jnp.zeros(4), jnp.ones(4)), jnp.ones(3))[1], atol=1e-6)
