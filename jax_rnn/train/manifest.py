"""The manifest of a checkpoint: its step, its figures, and the checksum of every file."""

import hashlib
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rnn_lecture.storage import open_regular, read_json, sync_folder, write_text

__all__ = ["damage", "read_manifest", "write_manifest"]

MANIFEST = "manifest.json"
MOST = 1 << 26
"""Maximum bytes of a manifest."""


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest of the checkpoint in folder ``path``; raises the errors of ``read_json``."""
    return read_json(path / MANIFEST, MOST)


def write_manifest(
    path: Path, step: int, figures: Mapping[str, float], notes: Mapping[str, Any]
) -> None:
    """Write the manifest, and wait until everything is on the disk."""
    manifest: dict[str, Any] = {
        "step": step,
        "figures": {k: v if math.isfinite(v) else None for k, v in figures.items()},
        "notes": dict(notes),
        "files": {
            file.relative_to(path).as_posix(): _sha256(file, sync=True) for file in _inside(path)
        },
    }
    manifest["sha256"] = _seal_of(manifest)
    write_text(path / MANIFEST, json.dumps(manifest, indent=2))
    for folder, _, _ in os.walk(path):
        sync_folder(Path(folder))


def _seal_of(manifest: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _sha256(path: Path, sync: bool = False) -> str:
    with open_regular(path) as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        if sync:
            os.fsync(file.fileno())
    return digest


def damage(path: Path) -> str | None:
    """The damage of the files of a checkpoint; None if they are complete."""
    if path.is_symlink():
        return "it is a symbolic link"
    try:
        manifest = read_manifest(path)
        seal = manifest.pop("sha256")
        if seal != _seal_of(manifest):
            return f"{MANIFEST} has changed"
    except FileNotFoundError:
        return f"{MANIFEST} is missing"
    except (OSError, ValueError, KeyError, RecursionError):
        return f"{MANIFEST} cannot be read"
    if not _is_manifest(manifest):
        return f"{MANIFEST} cannot be read"
    if path.name != f"step-{manifest['step']:08d}":
        return f"it holds step {manifest['step']}"
    files = dict(manifest["files"])
    for file in _inside(path):
        name = file.relative_to(path).as_posix()
        expected = files.pop(name, None)
        if expected is None and name != MANIFEST:
            return f"{name} does not belong to it"
        try:
            if name != MANIFEST and _sha256(file) != expected:
                return f"{name} has changed"
        except OSError:
            return f"{name} cannot be read"
    return next((f"{name} is missing" for name in files), None)


def _is_manifest(manifest: dict[str, Any]) -> bool:
    """Whether all entries exist and have their types."""

    def all_of(name: str, kinds: Any) -> bool:
        found = manifest.get(name)
        return isinstance(found, dict) and all(isinstance(v, kinds) for v in found.values())

    monitor = manifest["notes"].get("monitor", ["loss", "min"]) if all_of("notes", object) else None
    return (
        isinstance(manifest.get("step"), int)
        and all_of("figures", float | int | None)
        and all_of("files", str)
        and isinstance(monitor, list)
        and [type(entry) for entry in monitor] == [str, str]
    )


def _inside(path: Path) -> list[Path]:
    """All files in a folder, including links, sorted; links are not followed."""
    walk = os.walk(path)
    found = (Path(folder, name) for folder, inner, files in walk for name in (*inner, *files))
    return sorted(p for p in found if p.is_symlink() or not p.is_dir())
