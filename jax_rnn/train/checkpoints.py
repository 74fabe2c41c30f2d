"""Checkpoints that are whole or not there: orbax writes them, checksums tell whether they are.

A checkpoint is a folder ``step-00000100`` of orbax's files and a ``manifest.json`` with the SHA-256
of each. It is written under another name and renamed last, so a process that is killed while
writing leaves nothing that looks like one.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jax_rnn.train.mesh import barrier, is_main

__all__ = ["CheckpointError", "Checkpoints"]

MANIFEST = "manifest.json"
PARTIAL = "partial-"


class CheckpointError(OSError):
    """A checkpoint could not be written or read; those saved before are untouched."""


class Checkpoints:
    """The checkpoints of one run; the latest ``keep`` and the best stay.

    Args:
        folder: where they are; made when the first is saved.
        keep: how many of the latest stay. Two: if the last turns out damaged, there is another.
        say: called with a sentence where a damaged one is passed over.
    """

    def __init__(
        self, folder: Path, *, keep: int = 2, say: Callable[[str], None] = lambda text: None
    ):
        self.folder = folder.absolute()
        self.keep = keep
        self.say = say
        self._damage: dict[int, str | None] = {}

    def steps(self) -> list[int]:
        """Of all checkpoints, whole or not, in order."""
        if not self.folder.is_dir():
            return []
        names = (path.name for path in self.folder.iterdir())
        return sorted(int(name[5:]) for name in names if name.startswith("step-"))

    def path(self, step: int) -> Path:
        return self.folder / f"step-{step:08d}"

    def save(self, step: int, tree: Any, figures: dict[str, float]) -> None:
        """Write the arrays of ``tree`` and what was measured; every process has to call it.

        Raises:
            CheckpointError: the disk is full, the folder read-only, or the like.
        """
        partial = self.folder / f"{PARTIAL}{step:08d}"
        try:
            if is_main():
                self.folder.mkdir(parents=True, exist_ok=True)
                for left in self.folder.glob(f"{PARTIAL}*"):
                    shutil.rmtree(left)
            barrier("checkpoint folder")
            with _checkpointer() as checkpointer:
                checkpointer.save(partial, _flat(tree))
            if is_main():
                _seal(partial, step, figures)
                shutil.rmtree(self.path(step), ignore_errors=True)
                partial.rename(self.path(step))
                _sync(self.folder)
                self._damage[step] = None
                self._prune()
            barrier("checkpoint written")
        except (OSError, ValueError, RuntimeError) as error:
            if is_main():
                shutil.rmtree(partial, ignore_errors=True)
            whole = self.latest()
            kept = "none was saved before" if whole is None else f"that of step {whole} is whole"
            raise CheckpointError(
                f"the checkpoint of step {step} could not be written to {self.folder}: "
                f"{_reason(error)}; {kept}. Make room or the folder writable, then use --resume"
            ) from error

    def latest(self) -> int | None:
        """The step of the last checkpoint that is whole; None if there is none."""
        return next(self._whole(), None)

    def best(self) -> int | None:
        """The step of the checkpoint of least held-out loss; the latest where none was measured."""
        losses = {step: self.figures(step).get("loss") for step in self._whole()}
        measured = {step: loss for step, loss in losses.items() if loss is not None}
        return min(measured, key=lambda step: (measured[step], step)) if measured else self.latest()

    def figures(self, step: int) -> dict[str, float]:
        """What was measured when the checkpoint was saved."""
        return json.loads((self.path(step) / MANIFEST).read_text())["figures"]

    def restore(self, step: int, like: Any) -> Any:
        """The arrays of a checkpoint, in the structure, dtypes and shardings of ``like``.

        Raises:
            CheckpointError: the arrays have other names, shapes or dtypes.
        """
        wanted = _flat(like)
        with _checkpointer() as checkpointer:
            self._check_fit(step, wanted, _arrays(checkpointer, self.path(step)))
            arrays = checkpointer.restore(self.path(step), jax.tree.map(_abstract, wanted))
        return jax.tree.unflatten(jax.tree.structure(like), [arrays[name] for name in wanted])

    def restore_part(self, step: int, part: str, like: Any) -> Any:
        """One part of what was saved, on one device, whatever devices it was saved from."""
        wanted = {f"{part}/{name}": leaf for name, leaf in _flat(like).items()}
        with _checkpointer() as checkpointer:
            there = _arrays(checkpointer, self.path(step))
            inside = {name: leaf for name, leaf in there.items() if name.startswith(f"{part}/")}
            self._check_fit(step, wanted, inside)
            device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
            target = {
                name: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=device)
                for name, leaf in there.items()
            }
            arrays = checkpointer.restore(self.path(step), target)
        return jax.tree.unflatten(jax.tree.structure(like), [arrays[name] for name in wanted])

    def _check_fit(self, step: int, wanted: dict[str, Any], there: dict[str, Any]) -> None:
        faults = [f"missing: {name}" for name in wanted if name not in there]
        faults += [f"unexpected: {name}" for name in there if name not in wanted]
        for name in wanted.keys() & there.keys():
            a, b = wanted[name], there[name]
            if tuple(a.shape) != tuple(b.shape) or a.dtype != b.dtype:
                faults.append(
                    f"{name}: expected {a.dtype} {tuple(a.shape)}, got {b.dtype} {tuple(b.shape)}"
                )
        if faults:
            raise CheckpointError(
                f"{self.path(step)} does not fit this model:\n  " + "\n  ".join(sorted(faults))
            )

    def _whole(self) -> Iterator[int]:
        """Steps of the checkpoints that are whole, from the last."""
        for step in reversed(self.steps()):
            if step not in self._damage:
                self._damage[step] = fault = damage(self.path(step))
                if fault is not None:
                    self.say(f"the checkpoint of step {step} is damaged ({fault}) and passed over")
            if self._damage[step] is None:
                yield step

    def _prune(self) -> None:
        whole = list(self._whole())
        keep = {*whole[: self.keep], self.best()}
        for step in set(self.steps()) - keep:
            shutil.rmtree(self.path(step))


def damage(path: Path) -> str | None:
    """What is wrong with the files of a checkpoint; None if nothing is."""
    try:
        files = json.loads((path / MANIFEST).read_text())["files"]
    except (OSError, ValueError, KeyError):
        return f"{MANIFEST} cannot be read"
    for name, expected in files.items():
        try:
            if _sha256(path / name) != expected:
                return f"{name} has changed"
        except OSError:
            return f"{name} cannot be read"
    return None


def _checkpointer() -> Any:
    import orbax.checkpoint as ocp

    return ocp.StandardCheckpointer()


def _arrays(checkpointer: Any, path: Path) -> dict[str, Any]:
    """Shape and dtype of all that a checkpoint holds, by name."""
    return _flat(checkpointer.metadata(path).item_metadata.tree)


def _flat(tree: Any) -> dict[str, Any]:
    """Leaves by their path, the form in which a checkpoint holds them."""
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def _abstract(leaf: Any) -> Any:
    if isinstance(leaf, jax.Array | jax.ShapeDtypeStruct):
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding)
    return np.empty_like(leaf)


def _seal(path: Path, step: int, figures: dict[str, float]) -> None:
    """Write the manifest, and see that everything is on the disk."""
    files = sorted(file for file in path.rglob("*") if file.is_file())
    sums = {str(file.relative_to(path)): _sha256(file, sync=True) for file in files}
    manifest = path / MANIFEST
    manifest.write_text(json.dumps({"step": step, "figures": figures, "files": sums}, indent=2))
    _sync(manifest)


def _sha256(path: Path, sync: bool = False) -> str:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        if sync:
            os.fsync(file.fileno())
    return digest


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _reason(error: BaseException) -> str:
    """The first line of the innermost cause."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
