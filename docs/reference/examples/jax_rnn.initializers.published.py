from flax import nnx

from jax_rnn import LSTMCell, initializers

scheme = initializers.published(initializers.FLAX, 0.0, 1.0, 0.0, 0.0)  # of i f g o
cell = LSTMCell(3, 2, init=scheme, rngs=nnx.Rngs(0))
assert cell.bias_ih is not None  # the forget gate starts open
assert cell.bias_ih[...].tolist() == [0, 0, 1, 1, 0, 0, 0, 0]
