import equinox
import jax
import jax.numpy as jnp

from jax_rnn import GRUCell, HiddenCarry
from jax_rnn.interop import from_equinox

theirs = equinox.nn.GRUCell(3, 4, key=jax.random.key(0))
ours = from_equinox(theirs)
assert isinstance(ours, GRUCell)
x, h = jnp.ones(3), jnp.ones(4)
assert jnp.allclose(ours(HiddenCarry(h), x)[1], theirs(x, h), atol=1e-6)
