import jax.numpy as jnp
from flax import nnx
from jax.nn import sigmoid

from jax_rnn import GatedCell, HiddenCarry, Recurrent


class LeakyRNNCell(GatedCell[HiddenCarry]):
    """A gate decides how much of the state is replaced."""

    gates = ("z", "n")

    def update(self, gates, carry):
        z = sigmoid(gates.z)
        h = (1 - z) * carry.h + z * jnp.tanh(gates.n)
        return HiddenCarry(h), h


output, h_n = Recurrent(LeakyRNNCell(3, 4, rngs=nnx.Rngs(0)))(jnp.ones((7, 2, 3)))
assert output.shape == (7, 2, 4) and h_n.shape == (1, 2, 4)
