"""A run folder, which holds the results of a training run and the data to resume it."""

import json
import re
import reprlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from jax_rnn.base.progress import notice
from jax_rnn.base.storage import FileError, refuse_link, replacing
from jax_rnn.train.checkpoints import Checkpoints
from jax_rnn.train.config import (
    CONFIG,
    MAY_CHANGE,
    RunConfig,
    RunError,
    as_config,
    check_seal,
    read_config,
    seal,
)
from jax_rnn.train.mesh import is_main, main_does
from jax_rnn.train.plots import loss_plot
from jax_rnn.train.readme import Guide, explain, python_guide
from jax_rnn.train.records import (
    EVENTS,
    LINES,
    TABLE,
    Records,
    read_records,
    recorded,
    replace,
    writing,
)

__all__ = ["Run"]

LOCK, README, PLOT, CHECKPOINTS = ".lock", "README.md", "loss.png", "checkpoints"
WRITTEN = (CONFIG, README, LINES, TABLE, PLOT)
LEFT = re.compile(rf"\.({'|'.join(map(re.escape, WRITTEN))})\.[0-9a-f]{{8}}\.partial")
"""Temporary files of a process that was killed while writing one of them."""


class Run:
    """A folder that holds a run, locked while open; use it with ``with``.

    It holds ``config.json`` (the configuration), ``metrics.jsonl`` and ``metrics.csv``,
    ``loss.png``, ``checkpoints/`` and a ``README.md`` that describes them. If the ``with`` block
    fails before training starts, a new folder is removed again.

    Args:
        folder: path of the run folder, which is created if it does not exist.
        config: ``RunConfig``, or the dict that ``config.json`` holds. ``"model"`` is ``{"class":
            "module:Name", "options": {...}}``, from which ``load`` builds the model; ``"recipe"``
            holds hyperparameters; other entries are your own.
        resume: resume the run in the folder, or start one if the folder has none.
        tensorboard: whether to write events for TensorBoard too.
        guide: how the run is used, for its README and messages; None describes it in Python.
        say: called with every message for the user; None prints them on standard error.

    Raises:
        RunError: the folder has a run and ``resume`` is False; the run has another configuration;
            another process is writing into it; its configuration is missing or damaged; an entry
            of ``config`` has another type.
        TypeError: ``config`` has values that JSON cannot hold.
        FileError: a file of the run is a symbolic link.
        OSError: the folder cannot be created or written.
        ValueError: an empty name.
    """

    def __init__(
        self,
        folder: str | Path,
        config: Mapping[str, Any] | RunConfig,
        *,
        resume: bool = False,
        tensorboard: bool = False,
        guide: Guide | None = None,
        say: Callable[[str], None] | None = None,
    ):
        if not str(folder).strip():
            raise ValueError("folder: expected the name of a run folder, got an empty one")
        self.folder = Path(folder)
        self.config = as_config(config)
        self.guide = guide or python_guide(self.folder, self.config)
        self.say = notice if say is None else say
        self.checkpoints = Checkpoints(self.folder / CHECKPOINTS, say=self.say)
        self._resume, self._tensorboard = resume, tensorboard
        self._lock: Any = None
        self._made: list[Path] | None = None
        self.records: Records | None = None

    def __enter__(self) -> "Run":
        main_does(self._open)
        return self

    def _open(self) -> None:
        made = [path for path in (self.folder, *self.folder.parents) if not path.exists()]
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        for name in (*WRITTEN, CHECKPOINTS, EVENTS):
            refuse_link(self.folder / name)
        self._take_lock()
        try:
            if (self.folder / CONFIG).exists() or self.checkpoints.steps():
                self._check_same()
            else:
                self._made = made
            for path in self.folder.iterdir():
                if LEFT.fullmatch(path.name):
                    path.unlink()
            text = json.dumps(self.config.json(), indent=2, ensure_ascii=False)
            replace(self.folder / CONFIG, text + "\n")
            replace(self.folder / README, explain(self.config, self.guide.use))
        except BaseException:
            self._undo()
            self._lock.release()
            raise

    def __exit__(self, kind: object, *error: object) -> None:
        if kind is not None and self.records is None:
            self._undo()
        if self.records is not None:
            self.records.close()
        if self._lock is not None:
            self._lock.release()

    def resume_at(self) -> tuple[int, dict[str, Any]]:
        """The step of the last complete checkpoint and its notes; 0 if none was ever saved.

        Raises:
            CheckpointError: all checkpoints are damaged.
        """
        step = self.checkpoints.resume_at()
        return step, dict(self.checkpoints.about(step).notes) if step else {}

    def begin(self, step: int, notes: Mapping[str, Any] | None = None) -> None:
        """Continue after this step; later records are removed.

        Args:
            step: the step; 0 for a new run.
            notes: notes of the checkpoint of this step, with the checksum of the records.
        """
        main_does(lambda: self._begin(step, notes or {}))

    def _begin(self, step: int, notes: Mapping[str, Any]) -> None:
        if "records" in notes and not recorded(self.folder, notes["records"]):
            self.say(
                f"{self.folder / LINES}: expected the records up to step {step} unchanged, got a "
                "damaged file. Training continues from the checkpoint; the curves may have "
                "gaps or wrong values"
            )
        rows = [row for row in read_records(self.folder, self.say) if row["step"] <= step]
        self.records = Records(self.folder, rows, tensorboard=self._tensorboard)
        self._made = None

    def record(self, row: dict[str, Any]) -> None:
        """Append a record."""
        if self.records is not None:
            self.records.add(row)

    def save(
        self, step: int, state: Any, figures: Mapping[str, float], notes: Mapping[str, Any]
    ) -> None:
        """Write the records, then a checkpoint; every process must call it."""
        more = {} if self.records is None else {"records": self.records.sync()}
        self.checkpoints.save(step, state, figures, {**notes, **more, "config": seal(self.config)})

    def finish(self) -> None:
        """Write the table and the plot."""
        main_does(self._finish)

    def _finish(self) -> None:
        if self.records is None:
            return
        self.records.write_table()
        try:
            with writing(self.folder / PLOT), replacing(self.folder / PLOT) as file:
                loss_plot(self.records.rows, file)
        except ModuleNotFoundError as error:
            self.say(f"{PLOT} is not written: {error}")

    def _undo(self) -> None:
        """Remove the files of a run that did not start, and the folders created for it."""
        if self._made is None or not is_main():
            return
        with suppress(OSError):
            for name in (CONFIG, README, LOCK):
                (self.folder / name).unlink(missing_ok=True)
            for path in self._made:
                path.rmdir()

    def _take_lock(self) -> None:
        from filelock import FileLock, Timeout

        path = self.folder / LOCK
        refuse_link(path)
        if path.exists() and not path.is_file():
            raise FileError(f"{path}: expected a regular file, got a folder, pipe or device")
        self._lock = FileLock(path)
        with writing(self.folder):
            try:
                self._lock.acquire(timeout=0)
            except Timeout as error:
                raise RunError(
                    f"{self.folder}: expected an unused folder, but another process is writing "
                    "into this one; use another `folder`, or wait until it has ended"
                ) from error

    def _check_same(self) -> None:
        if not self._resume:
            raise RunError(
                f"{self.folder}: expected a new folder, got one with a run; use resume=True to "
                "resume it, or another `folder` for a new run"
            )
        before, now = read_config(self.folder), self.config
        faults = _differences(before, now)
        if faults:
            raise RunError(
                f"{self.folder}: expected the configuration of the run, got\n  "
                + "\n  ".join(faults)
                + f"\nonly {', '.join(MAY_CHANGE)} may change"
            )
        step = self.checkpoints.latest()
        if step is not None:
            check_seal(self.folder, before, self.checkpoints, step)


def _differences(before: RunConfig, now: RunConfig) -> list[str]:
    """Entries that differ: the lesson alone, else hyperparameters, else all others."""
    old, new = before.json(), now.json()
    for one, other, names in (
        (old, new, {"lesson"}),
        (before.recipe, now.recipe, {*before.recipe, *now.recipe} - {*MAY_CHANGE}),
        (old, new, {*old, *new} - {"recipe", "made"}),
    ):
        faults = [
            f"{k}: {reprlib.repr(one.get(k))} in the run, {reprlib.repr(other.get(k))} now"
            for k in sorted(names)
            if one.get(k) != other.get(k)
        ]
        if faults:
            return faults
    return []
