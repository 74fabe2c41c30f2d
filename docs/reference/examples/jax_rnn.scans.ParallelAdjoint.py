import jax
import jax.numpy as jnp
from flax import nnx

from jax_rnn import GRUCell, Recurrent
from jax_rnn.scans import ParallelAdjoint

cell = GRUCell(3, 4, rngs=nnx.Rngs(0))
x = jnp.ones((32, 2, 3))


def gradient(scan):
    layer = Recurrent(cell, scan=scan)
    return jax.grad(lambda x: layer(x)[0].sum())(x)


assert jnp.allclose(gradient(ParallelAdjoint()), gradient("sequential"), atol=1e-5)
