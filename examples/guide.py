"""The two cells of docs/how_to/guide.md: a gated one with a pace, and a linear one with a clock."""

import jax.numpy as jnp
from flax import nnx
from jax.nn import sigmoid, softplus

from jax_rnn import GatedCell, HiddenCarry, Linear, LinearCell
from jax_rnn.testing import check_cell


class PacedCell(GatedCell[HiddenCarry]):
    gates = ("u", "n")

    def __init__(self, input_size, hidden_size, *, rngs):
        super().__init__(input_size, hidden_size, rngs=rngs)
        self.pace = nnx.Param(jnp.linspace(-3.0, 3.0, hidden_size))

    def update(self, gates, carry):
        u = sigmoid(self.pace[...]) * sigmoid(gates.u)
        h = (1 - u) * carry.h + u * jnp.tanh(gates.n)
        return HiddenCarry(h), h


class ClockCell(LinearCell[HiddenCarry]):
    def __init__(self, input_size, hidden_size, *, rngs):
        self.input_size, self.hidden_size = input_size, hidden_size
        self.linear = Linear(input_size, 2 * hidden_size, rngs=rngs)
        self.scale = nnx.Param(jnp.linspace(0.0, 4.0, hidden_size))

    def coefficients(self, x):
        passed, n = jnp.split(self.linear(x), 2, axis=-1)
        a = jnp.exp(-softplus(passed) / jnp.exp(self.scale[...]))
        return HiddenCarry(a), HiddenCarry((1 - a) * n)

    def output(self, carry, x):
        return carry.h


if __name__ == "__main__":
    for kind in (PacedCell, ClockCell):
        checks = check_cell(kind(3, 4, rngs=nnx.Rngs(0)))
        print(f"{kind.__name__}: {len(checks)} checks passed")
