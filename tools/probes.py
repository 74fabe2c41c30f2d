"""The results of docs/how_to/probes.md, from a folder that `jax-rnn probe` wrote.

python -m tools.probes FOLDER    into benchmarks/results/probes.json, probes.png and the page
python -m tools.probes           the page again, from probes.json
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

from jax_rnn.base.figures import save_figure
from jax_rnn.probes.found import CELLS, TASKS
from jax_rnn.probes.page import page
from jax_rnn.probes.results import as_plain, curves, from_plain, read
from jax_rnn.probes.run import Result

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "how_to" / "probes.md"
RESULTS = ROOT / "benchmarks" / "results" / "probes.json"
BEGIN, END = "<!-- results -->\n", "<!-- end of results -->\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?", help="written by `jax-rnn probe --out`")
    folder = parser.parse_args().folder
    if folder is not None:
        found = [read(path) for path in sorted(folder.glob("*.json"))]
        results = sorted(filter(None, found), key=_order)
        rows = [as_plain(replace(result, environment={})) for result in results]
        content = {"environment": results[0].environment, "results": rows}
        RESULTS.write_text(json.dumps(content, separators=(",", ":")) + "\n", "utf-8")
        save_figure(curves(results, baselines()), RESULTS.with_suffix(".png"))
    before, rest = PAGE.read_text("utf-8").split(BEGIN)
    PAGE.write_text(before + BEGIN + section() + END + rest.split(END)[-1], "utf-8")


def _order(result: Result) -> tuple[int, int]:
    return [*TASKS].index(result.task), [*CELLS].index(result.cell)


def baselines() -> dict[str, float | None]:
    return {name: getattr(task(), "baseline_loss", None) for name, task in TASKS.items()}


def section() -> str:
    """The protocol and the table, in Markdown."""
    content = json.loads(RESULTS.read_text("utf-8"))
    environment = content["environment"]
    results = [from_plain(row | {"environment": environment}) for row in content["results"]]
    names = dict.fromkeys(result.task for result in results)
    text = page(results, {name: TASKS[name]() for name in names})
    return text.split("\n\n", 1)[1]


if __name__ == "__main__":
    main()
