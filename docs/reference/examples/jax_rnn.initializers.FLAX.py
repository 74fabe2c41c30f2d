from flax import nnx

from jax_rnn import GRU, initializers

layer = GRU(3, 4, init=initializers.FLAX, rngs=nnx.Rngs(0))  # or init="flax"
cell = layer.cells[0]
assert (cell.bias_ih[...] == 0).all()
