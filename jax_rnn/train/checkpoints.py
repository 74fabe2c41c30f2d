"""Checkpoints that are complete or absent: Orbax writes them, checksums verify them.

A checkpoint is a folder ``step-00000100`` of Orbax's files and a ``manifest.json`` with its step,
the SHA-256 of each file, and its own. It is written under a temporary name and renamed last, and
renamed before it is removed, so a killed process never leaves an incomplete checkpoint. A folder
that holds another step, another file or a symbolic link is damaged.
"""

import errno
import logging
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jax_rnn.storage import refuse_link, sync_folder
from jax_rnn.train.manifest import damage, read_manifest, write_manifest
from jax_rnn.train.mesh import is_main, main_does

__all__ = ["CheckpointError", "Checkpoints"]

PARTIAL = "partial-"
REMOVED = "removed-"
OVERHEAD = 256 * 1024
"""Maximum bytes of a checkpoint besides its arrays."""
PLAIN = re.compile(r"[\w/. -]*")
"""Paths that Orbax and TensorStore use literally. In others they expand ``[x]`` as a pattern,
replace ``\\`` by ``/``, or parse a protocol before ``:/``."""


class CheckpointError(OSError):
    """A checkpoint could not be written or read; earlier ones are not affected."""


class Checkpoints:
    """The checkpoints of one run; the latest ``keep`` and the best one are kept.

    Args:
        folder: path of the checkpoints, created with the first one. Its parent must exist.
        keep: number of the latest checkpoints to keep. Default 2: if the last is damaged, one
            remains.
        say: called with a message if a damaged checkpoint is skipped.
    """

    def __init__(
        self, folder: Path, *, keep: int = 2, say: Callable[[str], None] = lambda text: None
    ):
        self.folder = folder.absolute()
        self.keep = keep
        self.say = say
        self._damage: dict[int, str | None] = {}

    def steps(self) -> list[int]:
        """Steps of all checkpoints, complete or damaged, in order."""
        refuse_link(self.folder)
        if not self.folder.is_dir():
            return []
        names = (path.name for path in self.folder.iterdir())
        numbers = (int(name[5:]) for name in names if re.fullmatch(r"step-[0-9]{8,}", name))
        return sorted({number for number in numbers if self.path(number).is_dir()})

    def path(self, step: int) -> Path:
        return self.folder / f"step-{step:08d}"

    def save(
        self,
        step: int,
        tree: Any,
        figures: Mapping[str, float],
        notes: Mapping[str, Any] | None = None,
    ) -> None:
        """Write the arrays of ``tree``; every process must call it.

        Args:
            step: step of the checkpoint.
            tree: pytree of arrays.
            figures: figures measured at this step.
            notes: JSON-serializable data, returned by ``notes``. ``"monitor": [name, "min" or
                "max"]`` selects the figure and its direction for the best checkpoint; by default
                ``["loss", "min"]``.

        Raises:
            CheckpointError: the checkpoint cannot be written, e.g. because the disk is full.
        """
        name = f"{PARTIAL}{step:08d}"
        try:
            main_does(lambda: self._clear(_bytes(tree)))
            with _plain(self.folder) as folder, _checkpointer() as checkpointer:
                checkpointer.save(folder / name, _flat(tree))
            main_does(lambda: self._keep(self.folder / name, step, figures, notes or {}))
        except jax.errors.JaxRuntimeError:  # the cause is another process or a device, not the disk
            raise
        except (OSError, ValueError, RuntimeError) as error:
            if is_main():
                self._remove_unfinished()
            whole = self.latest()
            kept = "none was saved before" if whole is None else f"that of step {whole} is complete"
            raise CheckpointError(
                f"the checkpoint of step {step} could not be written to {self.folder}: "
                f"{_reason(error)}; {kept}. Free disk space or make the folder writable, then use "
                "--resume"
            ) from error

    def resume_at(self) -> int:
        """The step of the last complete checkpoint; 0 if none was ever saved.

        Raises:
            CheckpointError: all checkpoints are damaged.
        """
        step = self.latest()
        if step is None and self.steps():
            raise CheckpointError(
                f"{self.folder}: expected a complete checkpoint, but all are damaged "
                f"({', '.join(f'step {k}: {self._damage[k]}' for k in self.steps())}). Restore a "
                "copy of one, or train again in another folder"
            )
        return step or 0

    def latest(self) -> int | None:
        """The step of the last complete checkpoint; None if none exists."""
        return next(self._whole(), None)

    def tidy(self) -> None:
        """Remove unfinished checkpoints and incomplete removals of a killed process."""
        self._remove_unfinished()
        self._prune()

    def best(self) -> int | None:
        """The step of the checkpoint with the best figure; the latest if none was measured."""
        measured: dict[int, float] = {}
        for step in self._whole():
            name, mode = self.notes(step).get("monitor", ("loss", "min"))
            value = self.figures(step).get(name)
            if value is not None:
                measured[step] = value if mode == "min" else -value
        return min(measured, key=lambda step: (measured[step], step)) if measured else self.latest()

    def figures(self, step: int) -> dict[str, float | None]:
        """The figures saved with the checkpoint; None for values that were not finite."""
        return read_manifest(self.path(step))["figures"]

    def notes(self, step: int) -> dict[str, Any]:
        """The notes saved with the checkpoint."""
        return read_manifest(self.path(step))["notes"]

    def restore(self, step: int, like: Any) -> Any:
        """The arrays of a checkpoint, in the structure, dtypes and shardings of ``like``.

        Raises:
            CheckpointError: the arrays have other names, shapes or dtypes, or cannot be read.
        """
        wanted = _flat(like)
        with self._reading(step) as (path, checkpointer):
            self._check_fit(step, wanted, _arrays(checkpointer, path))
            arrays = checkpointer.restore(path, jax.tree.map(_abstract, wanted))
        return jax.tree.unflatten(jax.tree.structure(like), [arrays[name] for name in wanted])

    def restore_part(self, step: int, part: str, like: Any) -> Any:
        """One part of a checkpoint on one device, independently of the devices at saving.

        A single process may call it.

        Args:
            step: step of the checkpoint.
            part: name of the part, a key of the saved tree.
            like: arrays, or ``jax.ShapeDtypeStruct``, of the part.

        Raises:
            CheckpointError: as ``restore``.
        """
        wanted = {f"{part}/{name}": leaf for name, leaf in _flat(like).items()}
        with self._reading(step, alone=True) as (path, checkpointer):
            saved = _arrays(checkpointer, path)
            self._check_fit(step, wanted, _part(saved, part))
            device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
            target = {
                name: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=device)
                for name, leaf in saved.items()
            }
            arrays = checkpointer.restore(path, target)
        return jax.tree.unflatten(jax.tree.structure(like), [arrays[name] for name in wanted])

    def count(self, step: int, part: str) -> int:
        """Number of arrays in one part of a checkpoint."""
        with self._reading(step, alone=True) as (path, checkpointer):
            return len(_part(_arrays(checkpointer, path), part))

    def check_part(self, step: int, part: str, like: Any) -> None:
        """CheckpointError: one part has other names, shapes or dtypes than ``like``."""
        wanted = {f"{part}/{name}": leaf for name, leaf in _flat(like).items()}
        with self._reading(step, alone=True) as (path, checkpointer):
            self._check_fit(step, wanted, _part(_arrays(checkpointer, path), part))

    @contextmanager
    def _reading(self, step: int, alone: bool = False) -> Iterator[tuple[Path, Any]]:
        """The path of a checkpoint and its reader."""
        try:
            with _plain(self.folder) as folder, _checkpointer(alone) as checkpointer:
                yield folder / self.path(step).name, checkpointer
        except (CheckpointError, jax.errors.JaxRuntimeError):
            raise
        except Exception as error:  # errors of Orbax and TensorStore for damaged arrays
            raise CheckpointError(
                f"{self.path(step)}: expected the arrays of a checkpoint, got files that cannot be "
                f"read ({_reason(error)}); restore a copy, or use another checkpoint"
            ) from error

    def _clear(self, size: int) -> None:
        """An empty folder for the next checkpoint."""
        refuse_link(self.folder)
        self.folder.mkdir(exist_ok=True)
        self._remove_unfinished()
        free = shutil.disk_usage(self.folder).free
        if free < size + OVERHEAD:
            raise OSError(
                errno.ENOSPC,
                f"no space left on device, {(size + OVERHEAD) / 1e6:.1f} MB are needed and "
                f"{free / 1e6:.1f} MB are free",
            )

    def _remove_unfinished(self) -> None:
        """Repeat while files remain, since threads of a failed write may still be running."""
        for pause in (0, 0.01, 0.1, 0.5):
            time.sleep(pause)
            unfinished = [*self.folder.glob(f"{PARTIAL}*"), *self.folder.glob(f"{REMOVED}*")]
            if not unfinished:
                break
            for left in unfinished:
                if left.is_symlink():
                    left.unlink()
                shutil.rmtree(left, ignore_errors=True)

    def _keep(
        self, partial: Path, step: int, figures: Mapping[str, float], notes: Mapping[str, Any]
    ) -> None:
        """Rename the completely written checkpoint."""
        write_manifest(partial, step, figures, notes)
        if self.path(step).exists():
            self._remove(step)
        partial.rename(self.path(step))
        sync_folder(self.folder)
        self._damage[step] = None
        self._prune()

    def _check_fit(self, step: int, wanted: dict[str, Any], saved: dict[str, Any]) -> None:
        faults = [f"missing: {name}" for name in wanted if name not in saved]
        faults += [f"unexpected: {name}" for name in saved if name not in wanted]
        for name in wanted.keys() & saved.keys():
            a, b = wanted[name], saved[name]
            if tuple(a.shape) != tuple(b.shape) or a.dtype != b.dtype:
                faults.append(
                    f"{name}: expected {a.dtype} {tuple(a.shape)}, got {b.dtype} {tuple(b.shape)}"
                )
        if faults:
            raise CheckpointError(
                f"{self.path(step)} does not fit this model:\n  " + "\n  ".join(sorted(faults))
            )

    def _whole(self) -> Iterator[int]:
        """Steps of the complete checkpoints, the last one first."""
        for step in reversed(self.steps()):
            if step not in self._damage:
                self._damage[step] = fault = damage(self.path(step))
                if fault is not None:
                    self.say(f"the checkpoint of step {step} is damaged ({fault}) and skipped")
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


@contextmanager
def _plain(folder: Path) -> Iterator[Path]:
    """``folder`` under a path that Orbax and TensorStore use literally.

    If the path of the folder has characters that they interpret, this is a symbolic link in a new
    folder that only this user can write.
    """
    if PLAIN.fullmatch(str(folder)):
        yield folder
        return
    places = (tempfile.gettempdir(), "/tmp", "/var/tmp", str(Path.home()))
    place = next((p for p in places if PLAIN.fullmatch(p) and os.access(p, os.W_OK)), None)
    if place is None:
        raise OSError(
            errno.EINVAL,
            f"expected a temporary folder with a plain name, got {places[0]!r}; set TMPDIR",
        )
    with tempfile.TemporaryDirectory(prefix="jax_rnn-", dir=place) as private:
        link = Path(private, "checkpoints")
        link.symlink_to(folder, target_is_directory=True)
        yield link


@contextmanager
def _checkpointer(alone: bool = False) -> Iterator[Any]:
    """Orbax's checkpointer; it raises errors without also printing them from its threads."""
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
    """Options for all processes together, or for this one."""
    import orbax.checkpoint as ocp

    if not alone:
        return ocp.StandardCheckpointer()
    me = jax.process_index()
    who = ocp.options.MultiprocessingOptions(
        primary_host=me, active_processes={me}, barrier_sync_key_prefix=f"process_{me}"
    )
    return ocp.StandardCheckpointer(multiprocessing_options=who)


def _arrays(checkpointer: Any, path: Path) -> dict[str, Any]:
    """Shapes and dtypes of all arrays of a checkpoint, by name."""
    return _flat(checkpointer.metadata(path).item_metadata.tree)


def _part(arrays: Mapping[str, Any], part: str) -> dict[str, Any]:
    return {name: leaf for name, leaf in arrays.items() if name.startswith(f"{part}/")}


def _flat(tree: Any) -> dict[str, Any]:
    """Leaves by their path, as stored in a checkpoint."""
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def _abstract(leaf: Any) -> Any:
    if isinstance(leaf, jax.Array | jax.ShapeDtypeStruct):
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding)
    return np.empty_like(leaf)


def _reason(error: BaseException) -> str:
    """The message of the system, or the first line of the innermost cause."""
    while error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    code = re.search(r"os_error_code='(\d+)'", str(error))
    if code:
        return os.strerror(int(code[1]))
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
