from flax import nnx

from jax_rnn import GRU, initializers


def encoder(size: int, init: initializers.Init = "torch") -> GRU:
    return GRU(size, 4, init=init, rngs=nnx.Rngs(0))


assert encoder(3, "flax").hidden_size == 4
