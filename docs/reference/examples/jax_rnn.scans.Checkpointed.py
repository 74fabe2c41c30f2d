import jax
import jax.numpy as jnp
from flax import nnx

from jax_rnn import GRUCell, Recurrent
from jax_rnn.scans import Checkpointed

cell = GRUCell(3, 4, rngs=nnx.Rngs(0))
x = jnp.ones((100, 2, 3))


def gradient(scan):
    layer = Recurrent(cell, scan=scan)
    return jax.grad(lambda x: layer(x)[0].sum())(x)


saved = gradient(Checkpointed(every=10))  # keeps ten states and computes the others again
assert jnp.allclose(saved, gradient("auto"), atol=1e-5)
