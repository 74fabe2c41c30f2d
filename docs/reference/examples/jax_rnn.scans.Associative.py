import jax
import jax.numpy as jnp
from flax import nnx

from jax_rnn import MinGRUCell, Recurrent
from jax_rnn.scans import Associative

cell = MinGRUCell(3, 4, rngs=nnx.Rngs(0))
x = jax.random.normal(jax.random.key(0), (64, 2, 3))
parallel, _ = Recurrent(cell, scan=Associative(parallel=True))(x)
in_blocks, _ = Recurrent(cell, scan=Associative(blocks=8))(x)  # eight blocks of eight steps
assert jnp.allclose(parallel, in_blocks, atol=1e-5)
