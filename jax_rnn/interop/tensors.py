"""Parameters as tensors of torch."""

from typing import TYPE_CHECKING

from flax import nnx

from jax_rnn.interop.state_dict import torch_state_dict

if TYPE_CHECKING:
    import torch

__all__ = ["torch_tensors"]


def torch_tensors(module: nnx.Module) -> "dict[str, torch.Tensor]":
    """``torch_state_dict(module)`` with tensors; torch must be installed."""
    import torch

    return {
        name: torch.tensor(value.astype("float64")).to(getattr(torch, value.dtype.name))
        for name, value in torch_state_dict(module).items()  # not supported by torch
    }
