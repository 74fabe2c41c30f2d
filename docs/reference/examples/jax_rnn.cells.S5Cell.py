import jax
from flax import nnx

from jax_rnn import Recurrent
from jax_rnn.cells import S5Cell

cell = S5Cell(3, 8, steps=(0.01, 0.1), rngs=nnx.Rngs(0))  # the range of the time steps
layer = Recurrent(cell, scan="associative")
output, _ = layer(jax.random.normal(jax.random.key(0), (64, 2, 3)))
assert output.shape[:2] == (64, 2)
