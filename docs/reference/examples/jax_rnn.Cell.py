import jax.numpy as jnp

from jax_rnn import Cell, HiddenCarry, Recurrent


class Largest(Cell[HiddenCarry]):
    """The largest input so far."""

    def __init__(self, size):
        self.input_size = self.hidden_size = size

    def initialize_carry(self, input_shape, rngs=None, carry_init=None):
        return HiddenCarry(jnp.full(input_shape, -jnp.inf))

    def step(self, carry, x):
        h = jnp.maximum(carry.h, x)
        return HiddenCarry(h), h


output, _ = Recurrent(Largest(1))(jnp.array([1.0, 3.0, 2.0]).reshape(3, 1, 1))  # (T, B, I)
assert output.ravel().tolist() == [1, 3, 3]
