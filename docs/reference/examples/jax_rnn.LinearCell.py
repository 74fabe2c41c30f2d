import jax.numpy as jnp
from flax import nnx
from jax.nn import sigmoid

from jax_rnn import HiddenCarry, LinearCell, Recurrent


class LeakyCell(LinearCell[HiddenCarry]):
    """An exponential average of the input, with a learned rate for every feature."""

    def __init__(self, size):
        self.input_size = self.hidden_size = size
        self.rate = nnx.Param(jnp.zeros(size))

    def coefficients(self, x):
        a = sigmoid(self.rate[...])
        return HiddenCarry(a), HiddenCarry((1 - a) * x)

    def output(self, carry, x):
        return carry.h


output, _ = Recurrent(LeakyCell(1))(jnp.ones((3, 1, 1)))
assert jnp.allclose(output.ravel(), jnp.array([0.5, 0.75, 0.875]))
