import jax
from flax import nnx

from jax_rnn import Recurrent
from jax_rnn.cells import RGLRUCell

cell = RGLRUCell(8, heads=2, radius=(0.9, 0.999), rngs=nnx.Rngs(0))  # 8 features in and out
layer = Recurrent(cell, scan="associative")
output, h_n = layer(jax.random.normal(jax.random.key(0), (64, 2, 8)))
assert output.shape == (64, 2, 8)
