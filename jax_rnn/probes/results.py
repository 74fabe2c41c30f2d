"""Results of probes as files: one JSON file for each cell and task, a table and curves."""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from jax_rnn.base.errors import ArgumentError
from jax_rnn.base.figures import INK, MUTED, figure_of, finish
from jax_rnn.base.storage import check_folder, write_text
from jax_rnn.probes.run import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["as_plain", "curves", "from_plain", "path_of", "read", "table", "write"]

COLOURS, STYLES = 10, ("-", "--", ":")
"""Number of colours of a figure, and the lines that tell cells of one colour apart."""

LARGEST = 10_000_000
"""Bytes of a file of results."""


def path_of(folder: Path, cell: str, task: str) -> Path:
    return folder / f"{cell}-{task}.json"


def read(path: Path) -> Result | None:
    """The result in a file; None if there is none.

    Raises:
        ArgumentError: the file holds something else.
    """
    check_folder(path.parent, {path.name: LARGEST})
    if not path.exists():
        return None
    try:
        return from_plain(msgspec.json.decode(path.read_bytes(), type=dict[str, Any]))
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ArgumentError(
            "out", f"expected a result of a probe in {path}, got another ({error}); remove the file"
        ) from error


def write(path: Path, result: Result) -> None:
    """Write a result; numbers that are not finite become null."""
    write_text(path, json.dumps(as_plain(result), indent=1) + "\n")


def as_plain(result: Result) -> dict[str, Any]:
    """A result as JSON holds it."""
    return _finite(asdict(result))


def from_plain(found: dict[str, Any]) -> Result:
    """The result that ``as_plain`` made."""
    scores = {int(length): _numbers(of) for length, of in found["scores"].items()}
    loss = list(map(_numbers, found["loss"]))
    return msgspec.convert({**found, "scores": scores, "loss": loss}, Result)


def _numbers(values: Sequence[float | None]) -> list[float]:
    return [math.nan if value is None else float(value) for value in values]


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def table(results: Iterable[Result]) -> str:
    """A table in Markdown: cells, and for each task the score at the first and the last length.

    A score is the mean over the seeds; after it, where they differ, the lowest and the highest.
    """
    found = {(result.cell, result.task): result for result in results}
    cells, tasks = (list(dict.fromkeys(key[k] for key in found)) for k in (0, 1))
    heads = ["cell", "parameters"]
    ends = {}
    for task in tasks:
        lengths = next(result.scores for key, result in found.items() if key[1] == task)
        ends[task] = sorted({min(lengths), max(lengths)})
        heads += [f"{task}, {length}" for length in ends[task]]
    rows = [heads, ["---", *["---:"] * (len(heads) - 1)]]
    for cell in cells:
        sizes = {result.parameters for key, result in found.items() if key[0] == cell}
        low, high = min(sizes), max(sizes)
        row = [cell, f"{low:,}" if low == high else f"{low:,} to {high:,}"]
        for task in tasks:
            result = found.get((cell, task))
            row += [_score(result and result.scores.get(length)) for length in ends[task]]
        rows.append(row)
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _score(values: Sequence[float] | None) -> str:
    if not values:
        return ""
    if not all(map(math.isfinite, values)):
        return "diverged"
    low, mean, high = min(values), sum(values) / len(values), max(values)
    return f"{mean:.3f}" + (f" ({low:.3f} to {high:.3f})" if high - low > 0.01 else "")


def curves(results: Sequence[Result], baselines: dict[str, float | None]) -> "Figure":
    """Loss by step for each task: the mean over the seeds, and the interval that they span.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    tasks, cells = (
        list(dict.fromkeys(getattr(result, of) for result in results)) for of in ("task", "cell")
    )
    figure = figure_of(8.0, max(3.4, 0.16 * len(cells)) * len(tasks))
    for axes, task in zip(np.atleast_1d(figure.subplots(len(tasks))), tasks, strict=True):
        for result in results:
            if result.task != task:
                continue
            loss = np.array(result.loss)
            steps = (np.arange(loss.shape[1]) + 1) * result.budget.steps / loss.shape[1]
            k = cells.index(result.cell)
            look = {"color": f"C{k % COLOURS}", "linestyle": STYLES[k // COLOURS % len(STYLES)]}
            axes.plot(steps, loss.mean(0), linewidth=1.4, label=result.cell, **look)
            axes.fill_between(
                steps, loss.min(0), loss.max(0), color=look["color"], alpha=0.12, linewidth=0
            )
        axes.set_title(task, color=INK, fontsize=11, loc="right")
        baseline = baselines.get(task)
        if baseline is not None:
            axes.axhline(baseline, color=MUTED, linewidth=1, linestyle=":")
        finish(axes, "step", "loss")
        axes.legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure
