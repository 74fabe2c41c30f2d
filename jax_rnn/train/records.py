"""What a run measures, one record a line: metrics.jsonl while it runs, metrics.csv, TensorBoard."""

import csv
import io
import json
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["Records", "read_records", "replace", "writing"]

LINES, TABLE = "metrics.jsonl", "metrics.csv"


class Records:
    """The records of a run, in memory and on disk.

    Args:
        folder: of the run.
        rows: those to begin with, in place of what stands on the disk.
        tensorboard: whether to write events for TensorBoard as well.
    """

    def __init__(self, folder: Path, rows: list[dict[str, Any]], *, tensorboard: bool = False):
        self.folder = folder
        self.rows = list(rows)
        replace(folder / LINES, "".join(map(_line, self.rows)))
        last = rows[-1]["step"] if rows else 0
        self._writer = _tensorboard(folder, last) if tensorboard else None

    def add(self, row: dict[str, Any]) -> None:
        """Append a record; it has a ``"step"``. What is not finite is kept as None."""
        self.rows.append({name: _plain(value) for name, value in row.items()})
        path = self.folder / LINES
        with writing(path), path.open("a", encoding="utf-8") as file:
            file.write(_line(self.rows[-1]))
        if self._writer is not None:
            for name, value in row.items():
                if name != "step":
                    self._writer.add_scalar(name, value, row["step"])

    def write_table(self) -> None:
        """All records as CSV."""
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        table = io.StringIO(newline="")
        writer = csv.DictWriter(table, columns)
        writer.writeheader()
        writer.writerows(self.rows)
        replace(self.folder / TABLE, table.getvalue())

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


def read_records(
    folder: Path, say: Callable[[str], None] = lambda text: None
) -> list[dict[str, Any]]:
    """The records of a run; a last line that was cut off is left out, and said if it is another."""
    try:
        lines = (folder / LINES).read_text("utf-8", errors="replace").split("\n")
    except FileNotFoundError:
        return []
    rows = []
    for number, line in enumerate(lines[:-1], 1):
        try:
            row = json.loads(line)
            rows.append(row | {"step": int(row["step"])})
        except (ValueError, TypeError, KeyError):
            say(f"{folder / LINES}: line {number} is damaged and left out")
    return rows


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """An OSError inside comes out with the path, and with what to do."""
    try:
        yield
    except OSError as error:
        raise OSError(
            f"{path} could not be written: {error.strerror or error}; what was saved before is "
            "untouched. Make room or the folder writable, then use --resume"
        ) from error


def replace(path: Path, text: str) -> None:
    """Write a file that is whole, the old one or the new, whenever the process is killed."""
    partial = path.with_name(f".{path.name}.partial")
    with writing(path):
        with partial.open("w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)


def _line(row: dict[str, Any]) -> str:
    return json.dumps(row) + "\n"


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _tensorboard(folder: Path, last: int) -> Any:
    try:
        from tensorboardX import SummaryWriter
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "expected tensorboardX to be installed for TensorBoard, but it is not: "
            'pip install "jax-rnn[tensorboard]"',
            name="tensorboardX",
        ) from error
    suffix = f".from-{last + 1}"  # its names count seconds, and a resumed run may begin in the same
    return SummaryWriter(str(folder / "tensorboard"), purge_step=last + 1, filename_suffix=suffix)
