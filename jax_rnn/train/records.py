"""What a run measures, one record a line: metrics.jsonl while it runs, metrics.csv, TensorBoard."""

import csv
import json
import math
from pathlib import Path
from typing import Any

__all__ = ["Records", "read_records"]

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
        _replace(folder / LINES, "".join(map(_line, self.rows)))
        last = rows[-1]["step"] if rows else 0
        self._writer = _tensorboard(folder, last) if tensorboard else None

    def add(self, row: dict[str, Any]) -> None:
        """Append a record; it has a ``"step"``."""
        self.rows.append(row)
        with (self.folder / LINES).open("a", encoding="utf-8") as file:
            file.write(_line(row))
        if self._writer is not None:
            for name, value in row.items():
                if name != "step":
                    self._writer.add_scalar(name, value, row["step"])

    def write_table(self) -> None:
        """All records as CSV."""
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        with (self.folder / TABLE).open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(self.rows)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


def read_records(folder: Path) -> list[dict[str, Any]]:
    """The records of a run; a last line that was cut off is left out."""
    try:
        lines = (folder / LINES).read_text("utf-8").splitlines(keepends=True)
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in lines if line.endswith("\n") and line.strip()]


def _line(row: dict[str, Any]) -> str:
    finite = {
        k: v if not isinstance(v, float) or math.isfinite(v) else None for k, v in row.items()
    }
    return json.dumps(finite) + "\n"


def _replace(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def _tensorboard(folder: Path, last: int) -> Any:
    try:
        from tensorboardX import SummaryWriter
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "expected tensorboardX to be installed for TensorBoard, but it is not: "
            'pip install "jax-rnn[tensorboard]"',
            name="tensorboardX",
        ) from error
    return SummaryWriter(str(folder / "tensorboard"), purge_step=last + 1)
