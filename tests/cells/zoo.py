"""Small cells that several tests use, and what the cells of a test have in common."""

from collections import namedtuple
from types import new_class

import jax.numpy as jnp
from flax import nnx

from jax_rnn import Cell, GatedCell, HiddenCarry


class OneState(Cell[HiddenCarry]):
    """Has a state h, zero at the start; adds up its inputs, where a subclass has no step."""

    def __init__(self, input_size=4, hidden_size=4):
        self.input_size, self.hidden_size = input_size, hidden_size

    def initialize_carry(self, input_shape, rngs=None, carry_init=None):
        return HiddenCarry(jnp.zeros((*input_shape[:-1], self.hidden_size), self.dtype))

    def step(self, carry, x):
        h = carry.h + x
        return HiddenCarry(h), h


class ConvCell(OneState):
    """A tanh cell on images (height, width, features)."""

    num_feature_axes = 3

    def __init__(self, input_size, hidden_size, *, rngs):
        super().__init__(input_size, hidden_size)
        sizes = input_size + hidden_size, hidden_size
        self.conv = nnx.Conv(*sizes, (3, 3), param_dtype=float, rngs=rngs)

    def step(self, carry, x):
        h = jnp.tanh(self.conv(jnp.concatenate([x, carry.h], -1)))
        return HiddenCarry(h), h


def kind(name, base, **body):
    """``class name(base)`` with these attributes and methods: a cell that fits into a line."""
    return new_class(name, (base,), {}, lambda namespace: namespace.update(body))


Ticks = namedtuple("Ticks", "h ticks")


class Counting(GatedCell[Ticks]):
    """Counts its steps in an integer for every sequence, beside the state."""

    gates = ("a",)

    def initialize_carry(self, input_shape, rngs=None, carry_init=None):
        batch = input_shape[:-1]
        return Ticks(jnp.zeros((*batch, self.hidden_size)), jnp.zeros(batch, jnp.int32))

    def update(self, gates, carry):
        h = jnp.tanh(gates.a)
        return Ticks(h, carry.ticks + 1), h


class Wide(GatedCell[HiddenCarry]):
    """Its output has three features more than its state."""

    gates = ("a",)

    def __init__(self, input_size, hidden_size, *, rngs):
        super().__init__(input_size, hidden_size, rngs=rngs)
        self.output_size = hidden_size + 3

    def update(self, gates, carry):
        h = jnp.tanh(gates.a)
        return HiddenCarry(h), jnp.concatenate([h, carry.h[..., :3]], -1)
