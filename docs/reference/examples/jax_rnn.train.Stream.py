import jax.numpy as jnp
import torch
from torch.utils.data import DataLoader, TensorDataset

from jax_rnn.train import Stream

loader = DataLoader(TensorDataset(torch.ones(8, 3)), batch_size=4)
batches = Stream(loader)  # what fit makes of an iterable
assert batches.per_epoch == 2
(x,) = batches(0, slice(None))
assert jnp.asarray(x).shape == (4, 3)
