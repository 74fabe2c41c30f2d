import jax
import jax.numpy as jnp
from flax import nnx

from jax_rnn import GRUCell, Recurrent
from jax_rnn.scans import Tpu

cell = GRUCell(3, 4, rngs=nnx.Rngs(0))
x = jnp.ones((6, 2, 3))


def gradient(scan):
    layer = Recurrent(cell, scan=scan)
    return jax.grad(lambda x: layer(x)[0].sum())(x)


# Interpreted here, unless this is a TPU.
assert jnp.allclose(gradient(Tpu(steps=3)), gradient("sequential"), atol=1e-5)
