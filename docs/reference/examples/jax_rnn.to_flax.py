import jax.numpy as jnp
from flax import nnx

from jax_rnn import LSTMCarry, LSTMCell, to_flax

ours = LSTMCell(3, 4, rngs=nnx.Rngs(0))
theirs = to_flax(ours)
h, c, x = jnp.zeros((2, 4)), jnp.ones((2, 4)), jnp.ones((2, 3))
_, y = ours(LSTMCarry(h, c), x)
_, same = theirs((c, h), x)  # Flax has c first
assert jnp.allclose(y, same, atol=1e-6)
