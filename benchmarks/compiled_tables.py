"""Tables of ``python -m benchmarks.compiled``, from its results.

python -m benchmarks.compiled_tables benchmarks/results/compiled-h100.json
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.tables import Cells, as_markdown
from jax_rnn.bench.problem import Setting
from jax_rnn.bench.race import OURS

__all__ = ["LEGEND", "compiled_tables"]

PASSES = {"forward": "forward", "backward": "+ backward", "step": "+ Adam"}

LEGEND = (
    "per step: of the whole program, divided by the time steps; in loops: without those before and "
    "after, to which the last steps belong if T is no multiple of the steps in an iteration, and "
    "all steps if T is small. Seconds: of the processor. Bold: less than jax_rnn. † computes "
    "something else and is not checked. The programs are compiled, not run"
)

Entry = dict[str, Any]
Figure = Callable[[Entry, int], float | None]


def compiled_tables(result: dict[str, Any]) -> dict[str, Cells]:
    """Tables by title; the first row of each holds the headers."""
    rows = result["rows"]
    tpu = result["target"].startswith("TPU")
    found = {
        "Kernels and copies per step": _table(rows, lambda e, T: e["launches"] / T, "{:.2f}"),
        "Kernels and copies per step in loops": _table(rows, lambda e, _: e["per_step"], "{:.2f}"),
    }
    if tpu:
        found["Cycles per step, by the compiler's estimate"] = _table(
            rows, lambda e, T: e["cycles"] and e["cycles"] / T, "{:,.0f}"
        )
    what = "Cycles" if tpu else "Kernels and copies"
    found |= {
        "Temporaries, MiB": _table(rows, lambda e, _: e["temporaries"] / 2**20, "{:,.1f}"),
        "Seconds of compilation": _table(rows, lambda e, _: e["seconds"], "{:.1f}"),
        f"{what} divided by those of jax_rnn": _summary(result["summary"]),
    }
    return {f"{title}, {result['target']}": cells for title, cells in found.items() if cells[1:]}


def _table(rows: list[dict[str, Any]], value: Figure, form: str) -> Cells:
    """A figure of all contenders, a line for each row and pass.

    Args:
        rows: the rows of a result.
        value: maps an entry and the time steps to the figure, None if there is none.
        form: the format of the figure.
    """
    entries = [entries for row in rows for entries in row["entries"].values()]
    names = list(dict.fromkeys(name for of_pass in entries for name in of_pass))
    cells = [["", "pass", *names]]
    for row in rows:
        setting = Setting(**row["setting"])
        for k, (kind, by_name) in enumerate(row["entries"].items()):
            every = {name: value(entry, setting.T) for name, entry in by_name.items()}
            figures = {name: figure for name, figure in every.items() if figure is not None}
            shown = {name: form.format(figure) for name, figure in figures.items()}
            ours, own = figures.get(OURS, 0.0), shown.get(OURS)
            for name, figure in figures.items():
                if figure < ours and shown[name] != own:
                    shown[name] = f"**{shown[name]}**"
            marks = {name: "†" * (name in row["notes"]) for name in names}
            line = (f"{shown[name]}{marks[name]}" if name in shown else "-" for name in names)
            cells.append(["" if k else setting.title, PASSES[kind], *line])
    return cells


def _summary(summary: dict[str, Any]) -> Cells:
    passes = [kind for kind in PASSES if any(kind in of_peer for of_peer in summary.values())]
    means = (f"{PASSES[kind]}, mean" for kind in passes)
    cells = [["", *means, "minimum", "jax_rnn has more"]]
    for name, by_pass in summary.items():
        every = by_pass["all"]
        means = (f"{by_pass[k]['geometric_mean']:.2f}" if k in by_pass else "-" for k in passes)
        more = f"{every['we_are_slower']} of {every['rows']}"
        cells.append([name, *means, f"{every['least']:.2f}", more])
    return cells


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.compiled_tables",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path)
    result = json.loads(parser.parse_args().file.read_text("utf-8"))
    print(as_markdown(compiled_tables(result), LEGEND))


if __name__ == "__main__":
    main()
