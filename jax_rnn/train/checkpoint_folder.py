"""A folder of checkpoints that are complete or absent: the last ones, and the best.

A checkpoint is a folder ``step-00000100`` with a ``manifest.json`` that has its step, the SHA-256
of each file, and its own. It is written under a temporary name and renamed last, and renamed before
it is removed, so a killed process never leaves an incomplete checkpoint. A folder that holds
another step, another file or a symbolic link is damaged.
"""

import errno
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from jax_rnn.train.manifest import damage, read_manifest, write_manifest
from rnn_lecture.storage import refuse_link, sync_folder

__all__ = ["CheckpointError", "CheckpointFolder"]

PARTIAL = "partial-"
REMOVED = "removed-"
OVERHEAD = 256 * 1024
"""Maximum bytes of a checkpoint besides its arrays."""


class CheckpointError(OSError):
    """A checkpoint could not be written or read; earlier ones are not affected."""


class CheckpointFolder:
    """The checkpoints of one run: the latest ``keep`` and the best one.

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

    def partial(self, step: int) -> Path:
        return self.folder / f"{PARTIAL}{step:08d}"

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
        self.abandon()
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

    def start(self, step: int, size: int) -> None:
        """Make the folder ``partial(step)`` for the files of a checkpoint of ``size`` bytes."""
        refuse_link(self.folder)
        self.folder.mkdir(exist_ok=True)
        self.abandon()
        free = shutil.disk_usage(self.folder).free
        if free < size + OVERHEAD:
            raise OSError(
                errno.ENOSPC,
                f"no space left on device, {(size + OVERHEAD) / 1e6:.1f} MB are needed and "
                f"{free / 1e6:.1f} MB are free",
            )
        self.partial(step).mkdir()

    def finish(self, step: int, figures: Mapping[str, float], notes: Mapping[str, Any]) -> None:
        """Write the manifest of ``partial(step)``, rename it, and remove old checkpoints."""
        write_manifest(self.partial(step), step, figures, notes)
        if self.path(step).exists():
            self._remove(step)
        self.partial(step).rename(self.path(step))
        sync_folder(self.folder)
        self._damage[step] = None
        self._prune()

    def abandon(self) -> None:
        """Remove unfinished checkpoints, and what a killed process was removing."""
        for left in [*self.folder.glob(f"{PARTIAL}*"), *self.folder.glob(f"{REMOVED}*")]:
            if left.is_symlink():
                left.unlink()
            shutil.rmtree(left, ignore_errors=True)

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
