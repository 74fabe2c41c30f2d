"""A checkpoint as one safetensors file: arrays by name, and metadata with a checksum.

The metadata holds the step, the figures, the notes and the dtypes of the arrays as JSON, and the
SHA-256 of this JSON and of all arrays. Where safetensors lacks a dtype, a last axis of bytes is
added.
"""

import hashlib
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import jax.numpy as jnp
import msgspec
import numpy as np

from jax_rnn.base.storage import is_regular, replacing

__all__ = ["About", "Damage", "examine", "read", "sha256", "write"]


class About(msgspec.Struct, frozen=True):
    """What a checkpoint says about itself.

    Attributes:
        step: step of the checkpoint.
        figures: figures measured at this step; None for values that were not finite.
        notes: a dict that JSON can hold.
        dtypes: dtype of every array.
    """

    step: int
    figures: dict[str, float | None]
    notes: dict[str, Any]
    dtypes: dict[str, str]

    @property
    def monitor(self) -> tuple[str, Literal["min", "max"]]:
        """The figure by which the best checkpoint is chosen, and whether small or large is best."""
        name, mode = self.notes.get("monitor", ("loss", "min"))
        return name, mode


class Damage(str):
    """Why a file is not a complete checkpoint."""


def write(path: Path, step: int, arrays: Mapping, figures: Mapping, notes: Mapping) -> About:
    """Write a checkpoint, which is complete or absent, see ``replacing``."""
    from safetensors.numpy import save

    whole = {name: np.asarray(arrays[name], order="C") for name in sorted(arrays)}
    stored = {
        name: array if _is_plain(array.dtype) else array[..., None].view(np.uint8)
        for name, array in whole.items()
    }
    finite = {name: float(v) if math.isfinite(v) else None for name, v in figures.items()}
    dtypes = {name: array.dtype.name for name, array in whole.items()}
    about = About(step, finite, dict(notes), dtypes)
    text = msgspec.json.encode(about).decode()
    with replacing(path) as file:
        file.write(save(stored, {"about": text, "sha256": sha256(text, stored.items())}))
    return msgspec.json.decode(text, type=About)


def examine(path: Path) -> About | Damage:
    """What a checkpoint says about itself, if it is complete."""
    if not is_regular(path):
        return Damage("it is not a regular file")
    from safetensors import safe_open

    try:
        with safe_open(path, "np") as file:
            metadata, names = file.metadata(), sorted(file.keys())
            about = msgspec.json.decode(metadata["about"], type=About)
            name, mode = about.monitor
            if not isinstance(name, str) or mode not in ("min", "max"):
                raise TypeError(f"monitor is {about.monitor!r}")
            for dtype in about.dtypes.values():
                np.dtype(dtype)
            stored = ((name, file.get_tensor(name)) for name in names)
            changed = sha256(metadata["about"], stored) != metadata["sha256"]
    except Exception:  # many kinds, where a file was forged
        return Damage("it cannot be read")
    if changed:
        return Damage("its checksum is wrong")
    whole = path.stem == f"step-{about.step:08d}"
    return about if whole else Damage(f"it is the checkpoint of step {about.step}")


def read(path: Path, prefix: str = "") -> dict[str, np.ndarray]:
    """The arrays of a checkpoint whose names start with ``prefix``; no checksum is compared.

    Raises:
        Exception: of many kinds, if the file is not a checkpoint.
    """
    from safetensors import safe_open

    with safe_open(path, "np") as file:
        dtypes = msgspec.json.decode(file.metadata()["about"], type=About).dtypes
        names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118
        stored = {name: file.get_tensor(name) for name in names}
    return {
        name: array if array.dtype == dtypes[name] else array.view(dtypes[name])[..., 0]
        for name, array in stored.items()
    }


def sha256(about: str, stored: Iterable[tuple[str, np.ndarray]]) -> str:
    """The checksum of the JSON and of the arrays, sorted by name."""
    digest = hashlib.sha256(about.encode())
    for name, array in stored:
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _is_plain(dtype: np.dtype) -> bool:
    """Whether safetensors has the dtype."""
    return dtype == jnp.bfloat16 or (dtype.isbuiltin == 1 and dtype.kind != "c")
