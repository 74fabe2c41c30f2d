"""Checkpoints that are complete or absent: Orbax writes them, checksums verify them.

A checkpoint is a folder ``step-00000100`` of Orbax's files and a ``manifest.json`` with its step,
the SHA-256 of each file, and its own. It is written under another name and renamed last, and
renamed before it is removed, so a process that is killed in between leaves nothing that looks like
one. A folder that holds another step, another file or a symbolic link counts as damaged.
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
"""Bytes of a checkpoint that are not of its arrays, at most."""
PLAIN = re.compile(r"[\w/. -]*")
"""Paths that Orbax and TensorStore take as they are. In others they expand ``[x]`` as a pattern,
turn ``\\`` into ``/``, or read a protocol before ``:/``."""


class CheckpointError(OSError):
    """A checkpoint could not be written or read; those saved before are untouched."""


class Checkpoints:
    """The checkpoints of one run; the latest ``keep`` and the best stay.

    Args:
        folder: path of the checkpoints, created with the first. Its parent has to exist.
        keep: how many of the latest to keep. Default 2: if the last is damaged, one remains.
        say: called with a sentence where a damaged one is skipped.
    """

    def __init__(
        self, folder: Path, *, keep: int = 2, say: Callable[[str], None] = lambda text: None
    ):
        self.folder = folder.absolute()
        self.keep = keep
        self.say = say
        self._damage: dict[int, str | None] = {}

    def steps(self) -> list[int]:
        """Of all checkpoints, complete or damaged, in order."""
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
        """Write the arrays of ``tree``; every process has to call it.

        Args:
            step: of the checkpoint.
            tree: pytree of arrays.
            figures: what was measured at that step.
            notes: what JSON can hold, returned by ``notes``. ``"monitor": [name, "min" or "max"]``
                says which figure is the least or largest for the best checkpoint; by default
                ``["loss", "min"]``.

        Raises:
            CheckpointError: the disk is full, the folder read-only, or the like.
        """
        name = f"{PARTIAL}{step:08d}"
        try:
            main_does(lambda: self._clear(_bytes(tree)))
            with _plain(self.folder) as folder, _checkpointer() as checkpointer:
                checkpointer.save(folder / name, _flat(tree))
            main_does(lambda: self._keep(self.folder / name, step, figures, notes or {}))
        except jax.errors.JaxRuntimeError:  # another process or a device, not the disk
            raise
        except (OSError, ValueError, RuntimeError) as error:
            if is_main():
                self._remove_leavings()
            whole = self.latest()
            kept = "none was saved before" if whole is None else f"that of step {whole} is complete"
            raise CheckpointError(
                f"the checkpoint of step {step} could not be written to {self.folder}: "
                f"{_reason(error)}; {kept}. Make room or the folder writable, then use --resume"
            ) from error

    def resume_at(self) -> int:
        """The step of the last checkpoint that is complete; 0 where none was ever saved.

        Raises:
            CheckpointError: some were saved, and all of them are damaged.
        """
        step = self.latest()
        if step is None and self.steps():
            raise CheckpointError(
                f"{self.folder}: expected a complete checkpoint, but all are damaged "
                f"({', '.join(f'step {k}: {self._damage[k]}' for k in self.steps())}). Put back a "
                "copy of one, or begin anew in another folder"
            )
        return step or 0

    def latest(self) -> int | None:
        """The step of the last checkpoint that is complete; None if there is none."""
        return next(self._whole(), None)

    def tidy(self) -> None:
        """Remove what a process that was killed left unfinished, or had not yet removed."""
        self._remove_leavings()
        self._prune()

    def best(self) -> int | None:
        """The step of the checkpoint with the best figure; the latest where none was measured."""
        measured: dict[int, float] = {}
        for step in self._whole():
            name, mode = self.notes(step).get("monitor", ("loss", "min"))
            value = self.figures(step).get(name)
            if value is not None:
                measured[step] = value if mode == "min" else -value
        return min(measured, key=lambda step: (measured[step], step)) if measured else self.latest()

    def figures(self, step: int) -> dict[str, float | None]:
        """What was measured when the checkpoint was saved; None for what was not finite."""
        return read_manifest(self.path(step))["figures"]

    def notes(self, step: int) -> dict[str, Any]:
        """The notes that were saved with the checkpoint."""
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
        """One part of what was saved, on one device, whatever devices it was saved from.

        Any process may call it, without the others.

        Args:
            step: of the checkpoint.
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
        """How many arrays one part of a checkpoint has."""
        with self._reading(step, alone=True) as (path, checkpointer):
            return len(_part(_arrays(checkpointer, path), part))

    def check_part(self, step: int, part: str, like: Any) -> None:
        """CheckpointError: one part has other names, shapes or dtypes than ``like``."""
        wanted = {f"{part}/{name}": leaf for name, leaf in _flat(like).items()}
        with self._reading(step, alone=True) as (path, checkpointer):
            self._check_fit(step, wanted, _part(_arrays(checkpointer, path), part))

    @contextmanager
    def _reading(self, step: int, alone: bool = False) -> Iterator[tuple[Path, Any]]:
        """The path of a checkpoint and what reads it."""
        try:
            with _plain(self.folder) as folder, _checkpointer(alone) as checkpointer:
                yield folder / self.path(step).name, checkpointer
        except (CheckpointError, jax.errors.JaxRuntimeError):
            raise
        except Exception as error:  # what Orbax and TensorStore raise for arrays that make no sense
            raise CheckpointError(
                f"{self.path(step)}: expected the arrays of a checkpoint, got files that cannot be "
                f"read ({_reason(error)}); put back a copy, or use another checkpoint"
            ) from error

    def _clear(self, size: int) -> None:
        """A place to write to, without what was left unfinished in it."""
        refuse_link(self.folder)
        self.folder.mkdir(exist_ok=True)
        self._remove_leavings()
        free = shutil.disk_usage(self.folder).free
        if free < size + OVERHEAD:
            raise OSError(
                errno.ENOSPC,
                f"no space left on device, {(size + OVERHEAD) / 1e6:.1f} MB are needed and "
                f"{free / 1e6:.1f} MB are free",
            )

    def _remove_leavings(self) -> None:
        """Repeat while files remain: what failed may have threads that still write."""
        for pause in (0, 0.01, 0.1, 0.5):
            time.sleep(pause)
            leavings = [*self.folder.glob(f"{PARTIAL}*"), *self.folder.glob(f"{REMOVED}*")]
            if not leavings:
                break
            for left in leavings:
                if left.is_symlink():
                    left.unlink()
                shutil.rmtree(left, ignore_errors=True)

    def _keep(
        self, partial: Path, step: int, figures: Mapping[str, float], notes: Mapping[str, Any]
    ) -> None:
        """All is written: give it its name."""
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
        """Steps of the checkpoints that are complete, from the last."""
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
    """``folder`` under a path that Orbax and TensorStore take literally.

    That is a symbolic link in a new folder which only this user can write, where the path of the
    folder itself has characters that they interpret.
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
    """Shape and dtype of everything that a checkpoint holds, by name."""
    return _flat(checkpointer.metadata(path).item_metadata.tree)


def _part(arrays: Mapping[str, Any], part: str) -> dict[str, Any]:
    return {name: leaf for name, leaf in arrays.items() if name.startswith(f"{part}/")}


def _flat(tree: Any) -> dict[str, Any]:
    """Leaves by their path, the form in which a checkpoint holds them."""
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def _abstract(leaf: Any) -> Any:
    if isinstance(leaf, jax.Array | jax.ShapeDtypeStruct):
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding)
    return np.empty_like(leaf)


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
