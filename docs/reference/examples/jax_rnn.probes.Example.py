import jax
import jax.numpy as jnp

from jax_rnn.probes import Example

x = jax.random.randint(jax.random.key(0), (2, 6), 0, 4)  # (B, T)
known = jnp.ones(x.shape).at[:, :1].set(0)  # nothing comes before the first symbol
example = Example(x=x, y=jnp.roll(x, 1, axis=1), weight=known, scored=known)
assert example.y.shape == (2, 6)
