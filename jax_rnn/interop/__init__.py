"""Weights and modules to and from torch: names, files, whole modules."""

from jax_rnn.interop.files import load_safetensors, save_safetensors
from jax_rnn.interop.modules import from_torch, to_torch
from jax_rnn.interop.state_dict import load_torch_state_dict, torch_state_dict

__all__ = [
    "from_torch",
    "load_safetensors",
    "load_torch_state_dict",
    "save_safetensors",
    "to_torch",
    "torch_state_dict",
]
