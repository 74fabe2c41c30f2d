import jax.numpy as jnp
from flax import nnx

from jax_rnn import LSTM, LayerState

layer = LSTM(3, 4, num_layers=2, rngs=nnx.Rngs(0))
state = layer.initial_state(2)  # of two sequences
assert isinstance(state, LayerState)
y, state = layer.step(jnp.ones((2, 3)), state)
assert state.carries[1].c.shape == (2, 4)  # the cell state of the second layer
