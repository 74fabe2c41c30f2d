import jax.numpy as jnp
from flax import nnx

from jax_rnn import Recurrent
from jax_rnn.cells import CoRNNCell

slow = CoRNNCell(3, 4, dt=0.01, gamma=1.0, epsilon=1.0, rngs=nnx.Rngs(0))
output, (h_n, z_n) = Recurrent(slow)(jnp.ones((7, 2, 3)))
assert output.shape == (7, 2, 4)
assert abs(output[0]).max() < 0.01  # a step moves an oscillator by about dt^2
