import jax.numpy as jnp
import torch
from flax import nnx

from jax_rnn import GRU
from jax_rnn.testing import check_parity

ours = GRU(3, 4, rngs=nnx.Rngs(0))
theirs = torch.nn.GRU(3, 4)
for rung in check_parity(ours, theirs, jnp.ones((5, 2, 3)), steps=2):
    print(rung.name, rung.difference)  # from names to training
