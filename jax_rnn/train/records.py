"""Records of a run: metrics.jsonl, one per line, metrics.csv and TensorBoard."""

import csv
import hashlib
import io
import json
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from jax_rnn.base.extras import optional
from jax_rnn.base.storage import read_regular, refuse_link, write_text

__all__ = ["Records", "read_records", "recorded", "replace", "writing"]

LINES, TABLE, EVENTS = "metrics.jsonl", "metrics.csv", "tensorboard"
MOST = 1 << 30
"""Maximum bytes of metrics.jsonl."""


class Records:
    """The records of a run, in memory and on disk.

    Args:
        folder: folder of the run.
        rows: initial records, which replace those on the disk.
        tensorboard: whether to write events for TensorBoard as well.
    """

    def __init__(self, folder: Path, rows: list[dict[str, Any]], *, tensorboard: bool = False):
        self.folder = folder
        self.rows = list(rows)
        lines = "".join(map(_line, self.rows)).encode()
        path = folder / LINES
        replace(path, lines.decode())
        self._digest = hashlib.sha256(lines)
        flags = os.O_WRONLY | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
        self._file = os.open(path, flags | getattr(os, "O_BINARY", 0))
        self._writer = _tensorboard(folder, self.rows) if tensorboard else None

    def add(self, row: dict[str, Any]) -> None:
        """Append a record, which must have a ``"step"``. Values that are not finite become None.

        Raises:
            OSError: the disk is full or read-only, or the run folder was removed or replaced.
        """
        self._check_present()
        self.rows.append({name: _plain(value) for name, value in row.items()})
        line = _line(self.rows[-1]).encode()
        with writing(self.folder / LINES):
            rest = memoryview(line)
            while rest:
                rest = rest[os.write(self._file, rest) :]
        self._digest.update(line)
        if self._writer is not None:
            _add_scalars(self._writer, row, time.time())

    def sync(self) -> dict[str, Any]:
        """Wait until all records are on the disk; return their number and checksum."""
        with writing(self.folder / LINES):
            os.fsync(self._file)
        if self._writer is not None:
            self._writer.flush()
        return {"rows": len(self.rows), "sha256": self._digest.hexdigest()}

    def write_table(self) -> None:
        """All records as CSV."""
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        table = io.StringIO(newline="")
        writer = csv.DictWriter(table, columns)
        writer.writeheader()
        writer.writerows(self.rows)
        replace(self.folder / TABLE, table.getvalue())

    def close(self) -> None:
        os.close(self._file)
        if self._writer is not None:
            with suppress(OSError):  # the folder may have been removed
                self._writer.close()

    def _check_present(self) -> None:
        """Check the run folder. OSError: it is no longer the folder of this run."""
        with suppress(FileNotFoundError):
            found = os.stat(self.folder / LINES, follow_symlinks=False)
            if os.path.samestat(found, os.fstat(self._file)):
                return
        raise OSError(
            f"{self.folder}: the run folder was removed or replaced during training, so "
            "nothing more can be saved in it; train again in a new folder"
        )


def read_records(
    folder: Path, say: Callable[[str], None] = lambda text: None
) -> list[dict[str, Any]]:
    """The records of a run. Damaged lines are reported and skipped, as is an incomplete last line.

    Raises:
        FileError: metrics.jsonl is a symbolic link, not a regular file, or larger than 1 GiB.
    """
    rows = []
    for number, line in enumerate(_lines(folder), 1):
        try:
            row = json.loads(line.decode("utf-8", errors="replace"))
            rows.append(row | {"step": int(row["step"])})
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            say(f"{folder / LINES}: line {number} is damaged and skipped")
    return rows


def recorded(folder: Path, summary: Any) -> bool:
    """Whether metrics.jsonl starts with the records that ``Records.sync`` summarized."""
    if not isinstance(summary, dict) or not isinstance(summary.get("rows"), int):
        return False
    lines = _lines(folder)[: summary["rows"]]
    digest = hashlib.sha256(b"".join(line + b"\n" for line in lines)).hexdigest()
    return len(lines) == summary["rows"] and digest == summary.get("sha256")


def _lines(folder: Path) -> list[bytes]:
    try:
        return read_regular(folder / LINES, MOST).split(b"\n")[:-1]
    except FileNotFoundError:
        return []


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Context in which an OSError is raised again with the path and the fix."""
    try:
        yield
    except OSError as error:
        raise OSError(
            f"{path} could not be written: {error.strerror or error}; earlier files are not "
            "affected. Free disk space or make the folder writable, then use resume=True"
        ) from error


def replace(path: Path, text: str) -> None:
    """Replace a file so that it is complete, old or new, even if the process is killed."""
    with writing(path):
        write_text(path, text)


def _line(row: dict[str, Any]) -> str:
    return json.dumps(row) + "\n"


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _tensorboard(folder: Path, rows: list[dict[str, Any]]) -> Any:
    """A writer of events that has rewritten all rows, also those of an earlier process."""
    tensorboard = optional("tensorboardX")
    place = folder / EVENTS
    refuse_link(place)
    with writing(place):
        place.mkdir(exist_ok=True)
        for old in place.glob("events.out.tfevents.*"):
            if old.is_symlink() or not old.is_dir():
                old.unlink()
        writer = tensorboard.SummaryWriter(str(place))
        end = time.time() - (rows[-1].get("seconds") or 0 if rows else 0)
        for row in rows:
            _add_scalars(writer, row, end + (row.get("seconds") or 0))
        writer.flush()
    return writer


def _add_scalars(writer: Any, row: dict[str, Any], walltime: float) -> None:
    for name, value in row.items():
        if name != "step" and value is not None:
            writer.add_scalar(name, value, row["step"], walltime=walltime)
