import torch
from flax import nnx

from jax_rnn import GRU, load_torch_state_dict

ours = GRU(3, 4, rngs=nnx.Rngs(0))
load_torch_state_dict(ours, torch.nn.GRU(3, 4).state_dict())
try:
    load_torch_state_dict(ours, torch.nn.GRU(3, 4, bias=False).state_dict())
except ValueError as error:
    assert "missing: bias_hh_l0" in str(error)
