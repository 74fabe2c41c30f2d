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

from rnn_lecture.storage import open_regular, replacing

__all__ = ["About", "SavedArray", "SavedFile", "damage", "opened", "sha256", "write"]


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


class SavedArray(NamedTuple):
    """An array in a file, which is read when asked."""

    dtype: np.dtype
    shape: tuple[int, ...]
    slice: Any

    def read(self) -> np.ndarray:
        stored = self.slice[()]
        return stored if stored.dtype == self.dtype else stored.view(self.dtype)[..., 0]


class SavedFile(NamedTuple):
    """An open checkpoint."""

    about: About
    arrays: dict[str, SavedArray]
    metadata: Mapping[str, str]

    def is_complete(self) -> bool:
        """Whether its checksum fits; reads all arrays."""
        stored = ((name, self.arrays[name].slice[()]) for name in sorted(self.arrays))
        return sha256(self.metadata["about"], stored) == self.metadata["sha256"]


def write(
    path: Path,
    arrays: Mapping[str, Any],
    step: int,
    figures: Mapping[str, float],
    notes: Mapping[str, Any],
) -> None:
    """Write a checkpoint, which is complete or absent, see ``replacing``."""
    from safetensors.numpy import save

    whole = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    finite = {name: value if math.isfinite(value) else None for name, value in figures.items()}
    dtypes = {name: array.dtype.name for name, array in whole.items()}
    stored = {name: _encoded(whole[name]) for name in sorted(whole)}
    about = json.dumps(About(step, finite, notes, dtypes)._asdict())
    with replacing(path) as file:
        file.write(save(stored, {"about": about, "sha256": sha256(about, stored.items())}))


@contextmanager
def opened(path: Path) -> Iterator[SavedFile]:
    """The contents of a checkpoint; arrays can be read within the context.

    Raises:
        Exception: of many kinds, if the file is not a checkpoint.
    """
    from safetensors import safe_open

    with open_regular(path), safe_open(path, "np") as file:
        metadata = file.metadata()
        about = _about(metadata["about"])
        names = list(file.keys())
        arrays = {name: _saved(file.get_slice(name), about.dtypes[name]) for name in names}
        yield SavedFile(about, arrays, metadata)


def damage(path: Path) -> str | None:
    """The damage of a checkpoint; None if it is complete."""
    if path.is_symlink():
        return "it is a symbolic link"
    try:
        with opened(path) as file:
            step, complete = file.about.step, file.is_complete()
    except Exception:  # many kinds, where a file was forged
        return "it cannot be read"
    if not complete:
        return "it has changed"
    return None if path.stem == f"step-{step:08d}" else f"it holds step {step}"


def sha256(about: str, stored: Iterable[tuple[str, np.ndarray]]) -> str:
    """The checksum of the JSON and of the arrays, sorted by name."""
    digest = hashlib.sha256(about.encode())
    for name, array in stored:
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _about(text: str) -> About:
    """The JSON in the metadata. ValueError, TypeError: entries of other types."""
    about = About(**json.loads(text))
    kinds = ("figures", float | int | None), ("notes", object), ("dtypes", str)
    for name, kind in kinds:
        entries = getattr(about, name)
        if not (isinstance(entries, dict) and all(isinstance(v, kind) for v in entries.values())):
            raise TypeError(f"{name} is {entries!r}")
    monitor = about.notes.get("monitor", ["loss", "min"])
    if not isinstance(about.step, int) or [type(entry) for entry in monitor] != [str, str]:
        raise TypeError(f"step is {about.step!r}, monitor {monitor!r}")
    return about


def _saved(data: Any, name: str) -> SavedArray:
    dtype, shape = np.dtype(name), tuple(data.get_shape())
    return SavedArray(dtype, shape if _stored(dtype) == dtype else shape[:-1], data)


def _encoded(data: np.ndarray) -> np.ndarray:
    stored = _stored(data.dtype)
    return data if stored == data.dtype else data[..., None].view(stored)


def _stored(dtype: np.dtype) -> np.dtype:
    """The dtype in the file."""
    plain = dtype.isbuiltin == 1 and dtype.kind != "c"
    return dtype if plain or dtype == jnp.bfloat16 else np.dtype(np.uint8)
