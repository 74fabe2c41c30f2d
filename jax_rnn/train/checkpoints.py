"""Checkpoints that are whole or not there: orbax writes them, checksums tell whether they are.

A checkpoint is a folder ``step-00000100`` of orbax's files and a ``manifest.json`` with the SHA-256
of each, and of itself. It is written under another name and renamed last, and renamed before it is
removed, so a process that is killed in between leaves nothing that looks like one.
"""

import errno
import hashlib
import json
import logging
import math
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jax_rnn.train.mesh import is_main, main_does

__all__ = ["CheckpointError", "Checkpoints"]

MANIFEST = "manifest.json"
PARTIAL = "partial-"
REMOVED = "removed-"
OVERHEAD = 256 * 1024
"""Bytes of a checkpoint that are not of its arrays, at most."""


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
        names = (re.fullmatch(r"step-(\d{8,})", path.name) for path in self.folder.iterdir())
        return sorted(int(name[1]) for name in names if name)

    def path(self, step: int) -> Path:
        return self.folder / f"step-{step:08d}"

    def save(self, step: int, tree: Any, figures: dict[str, float]) -> None:
        """Write the arrays of ``tree`` and what was measured; every process has to call it.

        Raises:
            CheckpointError: the disk is full, the folder read-only, or the like.
        """
        partial = self.folder / f"{PARTIAL}{step:08d}"
        try:
            main_does(lambda: self._clear(_bytes(tree)))
            with _checkpointer() as checkpointer:
                checkpointer.save(partial, _flat(tree))
            main_does(lambda: self._keep(partial, step, figures))
        except jax.errors.JaxRuntimeError:  # another process or a device, not the disk
            raise
        except (OSError, ValueError, RuntimeError) as error:
            if is_main():
                self._remove_leavings()
            whole = self.latest()
            kept = "none was saved before" if whole is None else f"that of step {whole} is whole"
            raise CheckpointError(
                f"the checkpoint of step {step} could not be written to {self.folder}: "
                f"{_reason(error)}; {kept}. Make room or the folder writable, then use --resume"
            ) from error

    def resume_at(self) -> int:
        """The step of the last checkpoint that is whole; 0 where none was ever saved.

        Raises:
            CheckpointError: some were saved, and all of them are damaged.
        """
        step = self.latest()
        if step is None and self.steps():
            raise CheckpointError(
                f"{self.folder}: expected a checkpoint that is whole, but all are damaged "
                f"({', '.join(f'step {k}: {self._damage[k]}' for k in self.steps())}). Put back a "
                "copy of one, or begin anew in another folder"
            )
        return step or 0

    def latest(self) -> int | None:
        """The step of the last checkpoint that is whole; None if there is none."""
        return next(self._whole(), None)

    def tidy(self) -> None:
        """Remove what a process that was killed left unfinished, or had not yet removed."""
        self._remove_leavings()
        self._prune()

    def best(self) -> int | None:
        """The step of the checkpoint of least held-out loss; the latest where none was measured."""
        losses = {step: self.figures(step).get("loss") for step in self._whole()}
        measured = {step: loss for step, loss in losses.items() if loss is not None}
        return min(measured, key=lambda step: (measured[step], step)) if measured else self.latest()

    def figures(self, step: int) -> dict[str, float | None]:
        """What was measured when the checkpoint was saved; None for what was not finite."""
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
        """One part of what was saved, on one device, whatever devices it was saved from.

        Any process may call it, without the others.
        """
        wanted = {f"{part}/{name}": leaf for name, leaf in _flat(like).items()}
        with _checkpointer(alone=True) as checkpointer:
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

    def _clear(self, size: int) -> None:
        """A place to write to, without what was left unfinished in it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._remove_leavings()
        there = shutil.disk_usage(self.folder).free
        if there < size + OVERHEAD:
            raise OSError(
                errno.ENOSPC,
                f"no space left on device, {(size + OVERHEAD) / 1e6:.1f} MB are needed and "
                f"{there / 1e6:.1f} MB are there",
            )

    def _remove_leavings(self) -> None:
        """Again while something is there: what failed may have threads that still write."""
        for pause in (0, 0.01, 0.1, 0.5):
            time.sleep(pause)
            leavings = [*self.folder.glob(f"{PARTIAL}*"), *self.folder.glob(f"{REMOVED}*")]
            if not leavings:
                break
            for left in leavings:
                shutil.rmtree(left, ignore_errors=True)

    def _keep(self, partial: Path, step: int, figures: dict[str, float]) -> None:
        """All is written: give it its name."""
        _seal(partial, step, figures)
        if self.path(step).exists():
            self._remove(step)
        partial.rename(self.path(step))
        _sync(self.folder)
        self._damage[step] = None
        self._prune()

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
            self._remove(step)

    def _remove(self, step: int) -> None:
        removed = self.folder / f"{REMOVED}{step:08d}"
        self.path(step).rename(removed)
        shutil.rmtree(removed)


def damage(path: Path) -> str | None:
    """What is wrong with the files of a checkpoint; None if nothing is."""
    try:
        manifest = json.loads((path / MANIFEST).read_text())
        seal, files = manifest.pop("sha256"), manifest["files"]
    except FileNotFoundError:
        return f"{MANIFEST} is missing"
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return f"{MANIFEST} cannot be read"
    if seal != _seal_of(manifest):
        return f"{MANIFEST} has changed"
    for name, expected in files.items():
        try:
            if _sha256(path / name) != expected:
                return f"{name} has changed"
        except FileNotFoundError:
            return f"{name} is missing"
        except OSError:
            return f"{name} cannot be read"
    return None


@contextmanager
def _checkpointer(alone: bool = False) -> Iterator[Any]:
    """Orbax's; it raises what goes wrong, and its threads do not print it too."""
    log = logging.getLogger("absl")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        with _orbax(alone) as checkpointer:
            yield checkpointer
    finally:
        log.setLevel(level)


def _bytes(tree: Any) -> int:
    return sum(leaf.nbytes for leaf in jax.tree.leaves(tree))


def _orbax(alone: bool) -> Any:
    """For all processes together, or for this one."""
    import orbax.checkpoint as ocp

    if not alone:
        return ocp.StandardCheckpointer()
    me = jax.process_index()
    who = ocp.options.MultiprocessingOptions(
        primary_host=me, active_processes={me}, barrier_sync_key_prefix=f"process_{me}"
    )
    return ocp.StandardCheckpointer(multiprocessing_options=who)


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


def _seal(path: Path, step: int, figures: Mapping[str, float]) -> None:
    """Write the manifest, and see that everything is on the disk."""
    inside = sorted(path.rglob("*"))
    manifest: dict[str, Any] = {
        "step": step,
        "figures": {k: v if math.isfinite(v) else None for k, v in figures.items()},
        "files": {
            file.relative_to(path).as_posix(): _sha256(file, sync=True)
            for file in inside
            if file.is_file()
        },
    }
    manifest["sha256"] = _seal_of(manifest)
    (path / MANIFEST).write_text(json.dumps(manifest, indent=2))
    for written in (path / MANIFEST, *(p for p in inside if p.is_dir()), path):
        _sync(written)


def _seal_of(manifest: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


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
    """What the system said, or the first line of the innermost cause."""
    while error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    code = re.search(r"os_error_code='(\d+)'", str(error))
    if code:
        return os.strerror(int(code[1]))
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
