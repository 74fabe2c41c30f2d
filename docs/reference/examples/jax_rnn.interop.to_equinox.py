import jax.numpy as jnp
from flax import nnx

from jax_rnn import LSTMCarry, LSTMCell
from jax_rnn.interop import to_equinox

ours = LSTMCell(3, 4, rngs=nnx.Rngs(0))
theirs = to_equinox(ours)
carry = LSTMCarry(h=jnp.zeros(4), c=jnp.ones(4))
h, c = theirs(jnp.ones(3), tuple(carry))
assert jnp.allclose(h, ours(carry, jnp.ones(3))[1], atol=1e-6)
