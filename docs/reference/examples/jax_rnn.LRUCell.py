import jax
import jax.numpy as jnp
from flax import nnx

from jax_rnn import LRUCell, Recurrent

cell = LRUCell(3, 8, radius=(0.9, 0.999), rngs=nnx.Rngs(0))  # long memory
parallel = Recurrent(cell, scan="associative")
one_by_one = Recurrent(cell, scan="sequential")
x = jax.random.normal(jax.random.key(0), (64, 2, 3))  # (T, B, I)
assert jnp.allclose(parallel(x)[0], one_by_one(x)[0], atol=1e-4)
