from flax import nnx

from jax_rnn.cells import UGRNNCell
from jax_rnn.interop import load_package_weights, package_weights

trained, fresh = (UGRNNCell(3, 4, rngs=nnx.Rngs(seed)) for seed in (0, 1))
weights = package_weights(trained, "torchrecurrent")  # or a state dict of the package's module
load_package_weights(fresh, "torchrecurrent", weights)
assert (fresh.weight_ih[...] == trained.weight_ih[...]).all()
