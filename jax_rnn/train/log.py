"""The log of a run: metrics.jsonl, one row per line, metrics.csv, loss.png and TensorBoard."""

import csv
import io
import json
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from jax_rnn.base.extras import optional
from jax_rnn.base.storage import replacing, write_text

__all__ = ["Log", "loss_plot", "read_log", "writing"]

LINES, TABLE, PLOT, EVENTS = "metrics.jsonl", "metrics.csv", "loss.png", "tensorboard"


class Log:
    """Rows of figures by step, in memory and on disk; ``rows`` replace those on the disk."""

    def __init__(self, folder: Path, rows: list[dict[str, Any]], *, tensorboard: bool = False):
        self.folder, self.rows = folder, list(rows)
        with writing(folder / LINES):
            write_text(folder / LINES, "".join(map(_line, self.rows)))
            self._file = open(folder / LINES, "ab")  # noqa: SIM115
        self._writer = _tensorboard(folder, self.rows) if tensorboard else None

    def add(self, row: dict[str, Any]) -> None:
        """Append a row, which must have a ``"step"``. Values that are not finite become None.

        Raises:
            OSError: the disk is full or read-only.
        """
        self.rows.append({name: _finite(value) for name, value in row.items()})
        with writing(self.folder / LINES):
            self._file.write(_line(self.rows[-1]).encode())
            self._file.flush()
        if self._writer is not None:
            _add_scalars(self._writer, row, time.time())

    def sync(self) -> None:
        """Wait until all rows are on the disk."""
        with writing(self.folder / LINES):
            os.fsync(self._file.fileno())
        if self._writer is not None:
            self._writer.flush()

    def write_table(self) -> None:
        """All rows as CSV."""
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        table = io.StringIO(newline="")
        writer = csv.DictWriter(table, columns)
        writer.writeheader()
        writer.writerows(self.rows)
        with writing(self.folder / TABLE):
            write_text(self.folder / TABLE, table.getvalue())

    def write_plot(self) -> None:
        """The losses as PNG. ModuleNotFoundError: matplotlib is not installed."""
        with writing(self.folder / PLOT), replacing(self.folder / PLOT) as file:
            loss_plot(self.rows, file)

    def close(self) -> None:
        with suppress(OSError):  # the disk may be full, the folder may have been removed
            self._file.close()
            if self._writer is not None:
                self._writer.close()


def read_log(folder: Path, say: Callable[[str], None] = lambda text: None) -> list[dict[str, Any]]:
    """The rows of a run. Damaged lines are reported and skipped, as is an incomplete last line."""
    path, rows = folder / LINES, []
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line.decode("utf-8", errors="replace"))
            rows.append(row | {"step": int(row["step"])})
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            say(f"{path}: line {number} is damaged and skipped")
    return rows


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Context in which an OSError is raised again with the path and the fix."""
    try:
        yield
    except OSError as error:
        raise OSError(
            f"{path} could not be written: {error.strerror or error}; earlier files are not "
            "affected. Free disk space or make the folder writable, then resume the run"
        ) from error


def loss_plot(rows: Sequence[dict[str, Any]], file: IO[bytes]) -> None:
    """Write training loss and held-out loss by step as PNG."""
    figure = optional("matplotlib.figure").Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for name, label, color, marker in (
        ("loss", "training", "C0", None),
        ("held_out_loss", "held out", "C1", "."),
    ):
        points = [(row["step"], row[name]) for row in rows if row.get(name) is not None]
        if points:
            axes.plot(*zip(*points, strict=True), label=label, color=color, marker=marker)
            last = f" {points[-1][1]:.3f}"
            axes.text(*points[-1], last, color=color, verticalalignment="center")
    axes.set(xlabel="step", ylabel="loss")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.2)
    axes.legend(frameon=False)
    figure.savefig(file, format="png", dpi=150)


def _line(row: dict[str, Any]) -> str:
    return json.dumps(row) + "\n"


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _tensorboard(folder: Path, rows: list[dict[str, Any]]) -> Any:
    """A writer of events that has rewritten all rows, also those of an earlier process."""
    place, tensorboard = folder / EVENTS, optional("tensorboardX")
    with writing(place):
        place.mkdir(exist_ok=True)
        for old in place.glob("events.out.tfevents.*"):
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
