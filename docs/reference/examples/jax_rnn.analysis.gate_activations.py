import jax.numpy as jnp
from flax import nnx

from jax_rnn import LSTMCell
from jax_rnn.analysis import gate_activations

gates = gate_activations(LSTMCell(3, 4, rngs=nnx.Rngs(0)), jnp.ones((7, 2, 3)))
assert list(gates) == ["i", "f", "g", "o"]
assert gates["f"].shape == (7, 2, 4)  # (T, B, H)
saturated = (gates["f"] > 0.9).mean((0, 1))  # of each cell, the share of the steps
