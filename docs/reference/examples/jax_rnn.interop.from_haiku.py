import haiku as hk
import jax
import jax.numpy as jnp

from jax_rnn.interop import from_haiku

core = hk.without_apply_rng(hk.transform(lambda x, h: hk.GRU(4)(x, h)))
x, h = jnp.ones((2, 3)), jnp.ones((2, 4))
params = core.init(jax.random.key(0), x, h)
ours = from_haiku(params)  # an OriginalGRUCell
assert jnp.allclose(ours((h,), x)[1], core.apply(params, x, h)[0], atol=1e-5)
