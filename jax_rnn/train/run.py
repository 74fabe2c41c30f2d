"""A run folder, which holds the results of a training run and the data to resume it."""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from flax import nnx
from msgspec.structs import replace

from jax_rnn.base.devices import is_main
from jax_rnn.base.errors import ArgumentError
from jax_rnn.base.processes import main_does
from jax_rnn.base.progress import notice
from jax_rnn.base.storage import write_text
from jax_rnn.train.checkpoints import Checkpoints
from jax_rnn.train.config import (
    CONFIG,
    FILES,
    MAY_CHANGE,
    Guide,
    RunConfig,
    RunError,
    as_config,
    check_seal,
    differences,
    explain,
    find_config,
    python_guide,
    read_config,
    seal,
)
from jax_rnn.train.loading import restored
from jax_rnn.train.log import Log, read_log, writing

__all__ = ["Run"]

LOCK, README, CHECKPOINTS = ".lock", "README.md", "checkpoints"
FIRST = "command", "versions", "device"  # of ``made``, what a resumed run keeps
LEFT = re.compile(rf"\.({'|'.join(map(re.escape, FILES))})\.[0-9a-f]{{8}}\.partial")
"""Temporary files of a process that was killed while writing one of them."""


class Run:
    """A folder that holds a run, locked while open; use it with ``with``.

    It holds ``config.json``, ``metrics.jsonl`` and ``metrics.csv``, ``loss.png``, ``checkpoints/``
    and a ``README.md`` that describes them. If the ``with`` block fails before training starts, a
    new folder is removed again.

    Args:
        folder: path of the run folder, which is created if it does not exist.
        config: ``RunConfig``, or a dict of its fields. ``"model"`` is ``{"class": "module:Name",
            "options": {...}}``, from which ``load`` builds the model; ``"hyperparameters"`` are
            shown in the README; entries of your own belong into ``"own"``.
        resume: resume the run in the folder, or start one if the folder has none.
        tensorboard: whether to write events for TensorBoard too.
        guide: how the run is used, for its README and messages; None describes it in Python.
        say: called with every message for the user; None prints them on standard error.

    Attributes:
        folder, config, guide: the arguments; a resumed run keeps the command that made it.
        checkpoints: its ``Checkpoints``.

    Raises:
        RunError: the folder has a run and ``resume`` is False; the run has another configuration,
            a damaged one or none; another process is writing into it; a file of it is a symbolic
            link; an entry of ``config`` has another name or type.
        TypeError: ``config`` has values that JSON cannot hold.
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
            raise ArgumentError("folder", "expected the name of a run folder, got an empty one")
        self.folder = Path(folder)
        self.config = as_config(config)
        self.guide = guide or python_guide(self.folder, self.config)
        self.say = notice if say is None else say
        self.checkpoints = Checkpoints(self.folder / CHECKPOINTS, say=self.say)
        self._resume, self._tensorboard = resume, tensorboard
        self._lock: Any = None
        self._made: list[Path] | None = None
        self._log: Log | None = None

    def __enter__(self) -> "Run":
        main_does(self._open)
        return self

    def _open(self) -> None:
        made = [path for path in (self.folder, *self.folder.parents) if not path.exists()]
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        before = find_config(self.folder)
        self._take_lock()
        try:
            if before is None and not self.checkpoints.steps():
                self._made = made
            else:
                self._check_same(before or read_config(self.folder))
            for path in self.folder.iterdir():
                if LEFT.fullmatch(path.name):
                    path.unlink()
            text = msgspec.json.format(msgspec.json.encode(self.config), indent=2).decode()
            readme = explain(self.config, self.guide.use)
            for name, content in ((CONFIG, text + "\n"), (README, readme)):
                with writing(self.folder / name):
                    write_text(self.folder / name, content)
        except BaseException:
            self._undo()
            self._lock.release()
            raise

    def __exit__(self, kind: object, *error: object) -> None:
        if kind is not None and self._log is None:
            self._undo()
        if self._log is not None:
            self._log.close()
        if self._lock is not None:
            self._lock.release()

    def resume_at(self) -> tuple[int, dict[str, Any]]:
        """The step of the last complete checkpoint and its notes; 0 if none was ever saved.

        Raises:
            CheckpointError: all checkpoints are damaged.
        """
        step = self.checkpoints.resume_at()
        return step, dict(self.checkpoints.about(step).notes) if step else {}

    def begin(self, step: int) -> None:
        """Continue after this step, 0 for a new run; later rows of the log are removed."""
        main_does(lambda: self._begin(step))

    def _begin(self, step: int) -> None:
        rows = [row for row in read_log(self.folder, self.say) if row["step"] <= step]
        self._log = Log(self.folder, rows, tensorboard=self._tensorboard)
        self._made = None

    def record(self, row: dict[str, Any]) -> None:
        """Append a row of figures to the log."""
        if self._log is not None:
            self._log.add(row)

    def save(
        self, step: int, state: Any, figures: Mapping[str, float], notes: Mapping[str, Any]
    ) -> None:
        """Write a checkpoint; every process must call it."""
        if self._log is not None:
            self._log.sync()
        self.checkpoints.save(step, state, figures, {**notes, "config": seal(self.config)})

    def finish(self) -> None:
        """Write the table and the plot."""
        main_does(self._finish)

    def _finish(self) -> None:
        if self._log is None:
            return
        self._log.write_table()
        try:
            self._log.write_plot()
        except ModuleNotFoundError as error:
            self.say(f"loss.png is not written: {error}")

    def best(self, model: nnx.Module) -> nnx.Module:
        """A copy of ``model`` in evaluation mode, with the variables of the best checkpoint."""
        step = self.checkpoints.best()
        if step is None:
            raise RunError(f"{self.folder}: expected a checkpoint, got none; train longer")
        return restored(nnx.clone(model), self.checkpoints, step)

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

        self._lock = FileLock(self.folder / LOCK)
        with writing(self.folder):
            try:
                self._lock.acquire(timeout=0)
            except Timeout as error:
                raise RunError(
                    f"{self.folder}: expected an unused folder, but another process is writing "
                    "into this one; use another folder, or wait until that process has ended"
                ) from error

    def _check_same(self, before: RunConfig) -> None:
        if not self._resume:
            raise RunError(
                f"{self.folder}: expected a new folder, got one with a run; to resume it: "
                f"{self.guide.resume}; or use another folder for a new run"
            )
        if faults := differences(before, self.config):
            raise RunError(
                f"{self.folder}: expected the configuration of the run, got another:\n  "
                + "\n  ".join(faults)
                + f"\nOnly {', '.join(MAY_CHANGE[:-1])} and {MAY_CHANGE[-1]} may change"
            )
        step = self.checkpoints.latest()
        if step is not None:
            check_seal(self.folder, before, self.checkpoints.about(step))
        first = {k: v for k, v in before.made.items() if k in FIRST}
        self.config = replace(self.config, made=self.config.made | first)
