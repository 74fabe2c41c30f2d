import jax
from flax import nnx

from jax_rnn import MinGRUCell, Recurrent

cell = MinGRUCell(3, 4, positive=True, rngs=nnx.Rngs(0))  # as in the log-space form of the paper
layer = Recurrent(cell, scan="associative")  # in parallel over time
output, h_n = layer(jax.random.normal(jax.random.key(0), (64, 2, 3)))
assert (output > 0).all()  # a weighted mean of positive candidates
