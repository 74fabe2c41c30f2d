from flax import nnx

from jax_rnn.cells import UGRNNCell
from jax_rnn.interop import package_weights

weights = package_weights(UGRNNCell(3, 4, rngs=nnx.Rngs(0)), "torchrecurrent")
for name, array in weights.items():  # NumPy arrays, for load_state_dict
    print(name, array.shape)
