"""Print results as tables, on a terminal or in Markdown.

    python -m benchmarks.tables benchmarks/results/speed.json --markdown

The tables contain only what the JSON file holds, so a committed file prints the same tables as its
run.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from jax_rnn.bench.console import TITLES, duration
from jax_rnn.bench.problem import Setting
from jax_rnn.bench.race import OURS

__all__ = ["Cells", "as_markdown", "markdown", "show", "show_tables", "tables"]

Cells = list[list[str]]

LEGEND = (
    "Times are medians of jax_rnn; peers are their median divided by it, bold if they are faster. "
    "ceiling: share of the fastest matrix product measured in this run. "
    "compile: first call of jax_rnn. † computes something else and is not checked"
)


def tables(result: dict[str, Any]) -> dict[str, Cells]:
    """Tables by title; the first row of each holds the headers."""
    custom = [row for row in result["rows"] if row["setting"]["custom"]]
    others = [row for row in result["rows"] if not row["setting"]["custom"]]
    found = {
        "Layers": _layers(others, result["ceiling"]),
        "User-defined cell": _layers(custom, result["ceiling"]),
        "Peers": _summary(result["summary"]),
    }
    if result.get("lecture"):
        found["Lecture"] = [
            ["", "JAX", "PyTorch", "ratio", "goal"],
            *(
                [
                    row["what"],
                    duration(row["jax"]),
                    duration(row["torch"]),
                    f"{row['ratio']:.3g}",
                    f"{row['goal']:g}",
                ]
                for row in result["lecture"]
            ),
        ]
    if result.get("projection"):
        found["Where inputs are projected"] = _projection(result["projection"])
    if result.get("heads"):
        found["Block-diagonal hidden maps"] = _heads(result["heads"])
    if result.get("memory"):
        found["Memory of a training step"] = _memory(result["memory"])
    return {title: cells for title, cells in found.items() if len(cells) > 1}


def _layers(rows: list[dict[str, Any]], ceilings: dict[str, float]) -> Cells:
    peers = list(
        dict.fromkeys(
            name
            for row in rows
            for entries in row["entries"].values()
            for name in entries
            if name != OURS
        )
    )
    cells = [["", "pass", "jax_rnn", "a step", "GFLOP/s", "ceiling", "compile", *peers]]
    for row in rows:
        setting = Setting(**row["setting"])
        title, best = setting.title, _ceiling(ceilings, setting)
        for kind, entries in row["entries"].items():
            ours = entries.get(OURS)
            if ours is None:
                continue
            cells.append(
                [
                    title,
                    TITLES[kind],
                    duration(ours["median"]),
                    duration(ours["us_per_step"] / 1e6),
                    f"{ours['gflops']:.3g}",
                    f"{ours['gflops'] / best:.0%}",
                    duration(ours["first_seconds"]),
                    *(_ratio(entries.get(name), name in row["notes"]) for name in peers),
                ]
            )
            title = ""
    return cells


def _ceiling(ceilings: dict[str, float], setting: Setting) -> float:
    """The fastest product in the precision of a row; a name without a precision is of float32."""
    by_precision = {"float32": [0.0]}
    for name, value in ceilings.items():
        _, _, precision = name.partition(" ")
        by_precision.setdefault(precision or "float32", []).append(value)
    return max(by_precision[setting.precision])


def _ratio(entry: dict[str, Any] | None, other: bool) -> str:
    if entry is None:
        return "-"
    ratio = entry["ratio"]
    text = f"{ratio:.2f}" if ratio < 10 else f"{ratio:,.0f}"
    return (f"**{text}**" if ratio < 1 else text) + "†" * other


def _summary(summary: dict[str, Any]) -> Cells:
    cells = [["peer", "mean", *TITLES.values(), "jax_rnn slower", "minimum"]]
    for name, by_pass in summary.items():
        every = by_pass["all"]
        means = (f"{by_pass[k]['geometric_mean']:.2f}" if k in by_pass else "-" for k in TITLES)
        cells.append(
            [
                name,
                f"{every['geometric_mean']:.2f}",
                *means,
                f"{every['we_are_slower']} of {every['rows']}",
                f"{every['least']:.2f}",
            ]
        )
    return cells


def _heads(rows: list[dict[str, Any]]) -> Cells:
    cells = [["", "heads", "parameters", "forward", "forward + backward", "temporaries"]]
    return cells + [
        [
            row["layer"],
            str(row["heads"]),
            f"{row['parameters']:,}",
            duration(row["forward"]),
            duration(row["backward"]),
            f"{row['temporaries'] / 2**20:.1f} MiB",
        ]
        for row in rows
    ]


def _projection(rows: list[dict[str, Any]]) -> Cells:
    cells = [["", "pass", "before the loop", "in the loop", "ratio", "chosen"]]
    for row in rows:
        times = [duration(row[place]) for place in ("before", "in_loop")]
        chosen = row["chosen"].replace("_", " ")
        cells.append([row["layer"], TITLES[row["pass"]], *times, f"{row['ratio']:.2f}", chosen])
    return cells


def _memory(rows: list[dict[str, Any]]) -> Cells:
    cells = [["LSTM", "T", "compiled program", "whole process", "a step"]]
    for row in rows:
        if row["failure"]:
            cells.append([row["variant"], str(row["T"]), row["failure"], "-", "-"])
        else:
            cells.append(
                [
                    row["variant"],
                    str(row["T"]),
                    _size(row["temporaries"]),
                    _size(row["peak"]),
                    duration(row["seconds"]),
                ]
            )
    return cells


def _size(count: float) -> str:
    return f"{count / 2**20:,.0f} MiB"


def show(result: dict[str, Any]) -> None:
    """Print on the terminal, without wrapping lines."""
    show_tables(tables(result), LEGEND)


def show_tables(found: dict[str, Cells], legend: str) -> None:
    """Print tables by title, without wrapping lines, and a legend."""
    console = Console(width=max(Console().width, 220))
    for title, cells in found.items():
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        for k, header in enumerate(cells[0]):
            table.add_column(header, justify="left" if k == 0 else "right", no_wrap=True)
        for row in cells[1:]:
            table.add_row(*map(_styled, row))
        console.print(f"\n[bold]{title}[/]", highlight=False)
        console.print(table)
    console.print()
    Console().print(legend, highlight=False)


def _styled(cell: str) -> str:
    return f"[bold red]{cell.replace('**', '')}[/]" if cell.startswith("**") else cell


def markdown(result: dict[str, Any]) -> str:
    return as_markdown(tables(result), LEGEND)


def as_markdown(found: dict[str, Cells], legend: str) -> str:
    """Tables by title in Markdown, and a legend."""
    lines: list[str] = []
    for title, (headers, *rows) in found.items():
        lines += [f"{title}:", "", _line(headers), _line(["---", *["---:"] * (len(headers) - 1)])]
        lines += [*map(_line, rows), ""]
    return "\n".join([*lines, legend + "."])


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.tables",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args()
    result = json.loads(options.file.read_text("utf-8"))
    if options.markdown:
        print(markdown(result))
    else:
        show(result)


if __name__ == "__main__":
    main()
