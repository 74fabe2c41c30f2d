import jax
from flax import nnx

from jax_rnn import Recurrent
from jax_rnn.cells import MinLSTMCell

cell = MinLSTMCell(3, 4, positive=True, rngs=nnx.Rngs(0))
layer = Recurrent(cell, scan="associative")  # its gates do not read the state
output, h_n = layer(jax.random.normal(jax.random.key(0), (64, 2, 3)))
assert output.shape == (64, 2, 4) and (output > 0).all()
