import torch
from flax import nnx

from jax_rnn import LSTM, to_torch

theirs = to_torch(LSTM(3, 4, batch_first=True, rngs=nnx.Rngs(0)))
assert isinstance(theirs, torch.nn.LSTM)
output, (h_n, c_n) = theirs(torch.ones(2, 7, 3))
assert output.shape == (2, 7, 4)
