import haiku as hk
import jax.numpy as jnp
from flax import nnx

from jax_rnn import HiddenCarry, OriginalGRUCell
from jax_rnn.interop import to_haiku

ours = OriginalGRUCell(3, 4, rngs=nnx.Rngs(0))
core = hk.without_apply_rng(hk.transform(lambda x, h: hk.GRU(4)(x, h)))
x, h = jnp.ones((2, 3)), jnp.ones((2, 4))
y, _ = core.apply(to_haiku(ours), x, h)
assert jnp.allclose(y, ours(HiddenCarry(h), x)[1], atol=1e-5)
