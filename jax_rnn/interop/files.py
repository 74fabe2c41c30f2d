"""Parameters as safetensors files, which torch reads and writes too. Nothing is ever unpickled."""

import os
from pathlib import Path

from flax import nnx
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from jax_rnn.interop.state_dict import load_torch_state_dict, torch_state_dict
from jax_rnn.interop.tensors import torch_tensors

__all__ = ["load_safetensors", "save_safetensors", "save_torch"]


def save_safetensors(module: nnx.Module, path: str | Path) -> None:
    """Write the parameters of ``module`` under torch's names; the file is whole or not there.

    Raises:
        FileNotFoundError: there is no such folder.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path}: expected a folder {path.parent}, got none; make it first")
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        save_file(torch_state_dict(module), partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def load_safetensors(module: nnx.Module, path: str | Path, *, strict: bool = True) -> None:
    """Give ``module`` the parameters of a file written here or by torch.

    Args:
        module: as for ``torch_state_dict``.
        path: of the file.
        strict: whether the names must be the same; if not, those that both have are loaded.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, or its names or shapes do not fit. The module keeps its old
            values.
    """
    try:
        arrays = load_file(path)
    except (SafetensorError, AttributeError) as error:  # the latter of a dtype not in NumPy
        raise ValueError(
            f"{path}: expected a safetensors file, got one that cannot be read ({error}); "
            "copy it again, or write it anew with save_safetensors"
        ) from error
    load_torch_state_dict(module, arrays, strict=strict)


def save_torch(module: nnx.Module, path: str | Path) -> None:
    """Write the parameters as torch does; ``torch.load(path, weights_only=True)`` reads them.

    Raises:
        ModuleNotFoundError: torch is not installed.
    """
    try:
        import torch

        tensors = torch_tensors(module)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            'expected torch to be installed to write its format: pip install "jax-rnn[torch]"',
            name="torch",
        ) from error
    torch.save(tensors, path)
