import jax.numpy as jnp
from flax import nnx

from jax_rnn import LSTMCell
from jax_rnn.analysis import step_jacobians

jacobians = step_jacobians(LSTMCell(3, 4, rngs=nnx.Rngs(0)), jnp.ones((7, 2, 3)))
assert jacobians.shape == (7, 2, 8, 8)  # (T, B, S, S); the state is h and c
largest = jnp.linalg.norm(jacobians, ord=2, axis=(-2, -1))  # (T, B)
