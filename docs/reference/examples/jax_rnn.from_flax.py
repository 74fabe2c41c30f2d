import jax.numpy as jnp
from flax import nnx

from jax_rnn import from_flax

theirs = nnx.GRUCell(3, 4, rngs=nnx.Rngs(0))
ours = from_flax(theirs)
h, x = jnp.ones((2, 4)), jnp.ones((2, 3))
assert jnp.allclose(ours((h,), x)[1], theirs(h, x)[1], atol=1e-6)
