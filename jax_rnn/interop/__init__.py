"""Conversion of weights and modules from and to torch and Flax."""

from jax_rnn.interop.equinox_cells import from_equinox, to_equinox
from jax_rnn.interop.files import load_safetensors, save_safetensors
from jax_rnn.interop.flax_cells import from_flax, to_flax
from jax_rnn.interop.haiku_cells import from_haiku, to_haiku
from jax_rnn.interop.modules import from_torch, to_torch
from jax_rnn.interop.packages import load_package_weights, package_weights
from jax_rnn.interop.state_dict import load_torch_state_dict, torch_state_dict

__all__ = [
    "from_equinox",
    "from_flax",
    "from_haiku",
    "from_torch",
    "load_package_weights",
    "load_safetensors",
    "load_torch_state_dict",
    "package_weights",
    "save_safetensors",
    "to_equinox",
    "to_flax",
    "to_haiku",
    "to_torch",
    "torch_state_dict",
]
