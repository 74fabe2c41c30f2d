import jax.numpy as jnp
import torch
from flax import nnx

from jax_rnn import Linear
from jax_rnn.testing import Rung, climb

rungs = climb(Linear(3, 4, rngs=nnx.Rngs(0)), torch.nn.Linear(3, 4), jnp.ones((2, 3)), steps=1)
assert isinstance(rungs[0], Rung)
for rung in rungs:
    print(rung.name, rung.passed, rung.difference)
