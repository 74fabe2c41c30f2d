"""A checkpoint as one safetensors file: arrays by name, and metadata with a checksum.

The metadata holds the step, the figures, the notes and the dtypes of the arrays as JSON, and the
SHA-256 of this JSON and of all arrays. Where safetensors lacks a dtype, a last axis of bytes is
added.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jax_rnn.base.storage import open_regular, replacing

__all__ = ["About", "damage", "read", "read_about", "sha256", "write"]


class About(NamedTuple):
    """What a checkpoint says about itself.

    Attributes:
        step: step of the checkpoint.
        figures: figures measured at this step; None for values that were not finite.
        notes: a dict that JSON can hold.
        dtypes: dtype of every array.
    """

    step: int
    figures: Mapping[str, float | None]
    notes: Mapping[str, Any]
    dtypes: Mapping[str, str]


def write(path: Path, step: int, arrays: Mapping, figures: Mapping, notes: Mapping) -> None:
    """Write a checkpoint, which is complete or absent, see ``replacing``."""
    from safetensors.numpy import save

    whole = {name: np.asarray(arrays[name], order="C") for name in sorted(arrays)}
    finite = {name: value if math.isfinite(value) else None for name, value in figures.items()}
    dtypes = {name: array.dtype.name for name, array in whole.items()}
    stored = {
        name: array if _is_plain(array.dtype) else array[..., None].view(np.uint8)
        for name, array in whole.items()
    }
    about = json.dumps(About(step, finite, notes, dtypes)._asdict())
    with replacing(path) as file:
        file.write(save(stored, {"about": about, "sha256": sha256(about, stored.items())}))


def read(path: Path, prefix: str = "") -> dict[str, np.ndarray]:
    """The arrays of a checkpoint whose names start with ``prefix``; no checksum is compared.

    Raises:
        Exception: of many kinds, if the file is not a checkpoint.
    """
    dtypes = read_about(path).dtypes
    with _opened(path) as file:
        names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118
        stored = {name: file.get_tensor(name) for name in names}
    return {
        name: array if array.dtype == dtypes[name] else array.view(dtypes[name])[..., 0]
        for name, array in stored.items()
    }


def read_about(path: Path) -> About:
    """What a checkpoint says about itself; its arrays are not read, and the errors of ``read``."""
    with _opened(path) as file:
        about = About(**json.loads(file.metadata()["about"]))
    kinds = ("figures", float | int | None), ("notes", object), ("dtypes", str)
    for name, kind in kinds:
        entries = getattr(about, name)
        if not (isinstance(entries, dict) and all(isinstance(v, kind) for v in entries.values())):
            raise TypeError(f"{name} is {entries!r}")
    monitor = about.notes.get("monitor", ["loss", "min"])
    if not isinstance(about.step, int) or [type(entry) for entry in monitor] != [str, str]:
        raise TypeError(f"step is {about.step!r}, monitor {monitor!r}")
    return about._replace(dtypes={name: np.dtype(v).name for name, v in about.dtypes.items()})


def damage(path: Path) -> str | None:
    """The damage of a checkpoint; None if it is complete."""
    if path.is_symlink():
        return "it is a symbolic link"
    try:
        step = read_about(path).step
        with _opened(path) as file:
            metadata, names = file.metadata(), sorted(file.keys())
            stored = ((name, file.get_tensor(name)) for name in names)
            changed = sha256(metadata["about"], stored) != metadata["sha256"]
    except Exception:  # many kinds, where a file was forged
        return "it cannot be read"
    if changed:
        return "it has changed"
    return None if path.stem == f"step-{step:08d}" else f"it holds step {step}"


def sha256(about: str, stored: Iterable[tuple[str, np.ndarray]]) -> str:
    """The checksum of the JSON and of the arrays, sorted by name."""
    digest = hashlib.sha256(about.encode())
    for name, array in stored:
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The open file, a regular one."""
    from safetensors import safe_open

    with open_regular(path), safe_open(path, "np") as file:
        yield file


def _is_plain(dtype: np.dtype) -> bool:
    """Whether safetensors has the dtype."""
    return dtype == jnp.bfloat16 or (dtype.isbuiltin == 1 and dtype.kind != "c")
