import jax
import jax.numpy as jnp
from flax import nnx

from jax_rnn import GatedCell, HiddenCarry, Noise, Recurrent


class NoisyRNNCell(GatedCell[HiddenCarry]):
    gates = ("hidden",)

    def noise(self, key, batch):
        return 0.1 * jax.random.normal(key, (*batch, self.hidden_size))

    def update(self, gates, carry, noise: Noise | None = None):
        added = 0 if noise is None else noise.step  # None in evaluation mode
        h = jnp.tanh(gates.hidden + added)
        return HiddenCarry(h), h


layer = Recurrent(NoisyRNNCell(3, 4, rngs=nnx.Rngs(0)))
x = jnp.ones((5, 2, 3))
first, second = (layer(x, rngs=jax.random.key(seed))[0] for seed in (0, 1))
assert (first != second).any()
