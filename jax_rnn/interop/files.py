"""Parameters as files of safetensors and of torch. No file is unpickled."""

from pathlib import Path

from flax import nnx
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from jax_rnn.base.extras import optional
from jax_rnn.base.storage import replacing
from jax_rnn.interop.state_dict import load_torch_state_dict, torch_state_dict
from jax_rnn.interop.tensors import torch_tensors

__all__ = ["check_target", "load_safetensors", "save_safetensors", "save_torch"]


def check_target(path: str | Path) -> Path:
    """The path of an output file, checked before the work.

    Raises:
        ValueError: an empty name. IsADirectoryError: a folder. FileNotFoundError: no such folder.
    """
    if not str(path).strip() or Path(path).name in ("", ".."):
        raise ValueError(f"file: expected the name of a file, got {str(path)!r}")
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path}: expected a file, got a folder; add the file's name")
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"{path}: expected the folder {path.parent} to exist; create it first"
        )
    return path


def save_safetensors(module: nnx.Module, path: str | Path) -> None:
    """Write the parameters of ``module`` under torch's names; the file is complete or absent.

    Raises:
        FileNotFoundError: the folder does not exist. IsADirectoryError: ``path`` is a folder.
    """
    with replacing(check_target(path)) as file:
        file.write(save(torch_state_dict(module)))


def load_safetensors(module: nnx.Module, path: str | Path, *, strict: bool = True) -> None:
    """Load the parameters of a file written by ``save_safetensors`` or by torch into ``module``.

    Args:
        module: as for ``torch_state_dict``.
        path: path of the file.
        strict: whether the names must be the same; if not, the common ones are loaded.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: the file is damaged, or its names or shapes do not fit. The module keeps its
            values.
    """
    try:
        arrays = load_file(path)
    except (SafetensorError, AttributeError) as error:  # the latter: a dtype not in NumPy
        raise ValueError(
            f"{path}: expected a safetensors file, got one that cannot be read ({error}); "
            "copy it again, or write it again with save_safetensors"
        ) from error
    load_torch_state_dict(module, arrays, strict=strict)


def save_torch(module: nnx.Module, path: str | Path) -> None:
    """Write the parameters as torch does; ``torch.load(path, weights_only=True)`` reads them.

    Raises:
        ModuleNotFoundError: torch is not installed.
        FileNotFoundError: the folder does not exist. IsADirectoryError: ``path`` is a folder.
    """
    torch = optional("torch")
    tensors = torch_tensors(module)
    with replacing(check_target(path)) as file:
        torch.save(tensors, file)
