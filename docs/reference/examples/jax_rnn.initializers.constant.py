from dataclasses import replace

from flax import nnx

from jax_rnn import LSTMCell, initializers

scheme = replace(
    initializers.TORCH,
    name="remember",
    bias=initializers.constant(0.0, 1.0, 0.0, 0.0),
    bias_hh=initializers.constant(0.0, 0.0, 0.0, 0.0),
)
cell = LSTMCell(3, 2, init=scheme, rngs=nnx.Rngs(0))
assert cell.bias_ih is not None
assert cell.bias_ih[...].tolist() == [0, 0, 1, 1, 0, 0, 0, 0]  # i f g o: the forget gate
