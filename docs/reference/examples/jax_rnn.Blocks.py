from typing import Any, NamedTuple

import jax.numpy as jnp
from flax import nnx

from jax_rnn import Blocks, LinearCell, Recurrent


class Pairs(NamedTuple):
    h: Any  # (*batch, H, 2)


class Rotation(LinearCell[Pairs]):
    """Pairs of numbers that turn by an angle of their own at every step."""

    def __init__(self, size):
        self.input_size = self.hidden_size = size
        self.angle = nnx.Param(jnp.linspace(0.1, 1, size))

    def coefficients(self, x):
        c, s = jnp.cos(self.angle[...]), jnp.sin(self.angle[...])
        turn = jnp.stack([jnp.stack([c, -s], -1), jnp.stack([s, c], -1)], -2)  # (H, 2, 2)
        return Pairs(Blocks(turn)), Pairs(jnp.stack([x, jnp.zeros_like(x)], -1))

    def output(self, carry, x):
        return carry.h[..., 0]


output, state = Recurrent(Rotation(3))(jnp.ones((7, 2, 3)))
assert output.shape == (7, 2, 3) and state.shape == (1, 2, 3, 2)
