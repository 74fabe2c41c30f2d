import jax.numpy as jnp
import torch
from flax import nnx

from jax_rnn import Linear
from jax_rnn.testing import climb

rungs = climb(Linear(3, 4, rngs=nnx.Rngs(0)), torch.nn.Linear(3, 5), jnp.ones((2, 3)))
assert not rungs[-1].passed  # no error: the last rung is the one that failed
print(rungs[-1].detail)
