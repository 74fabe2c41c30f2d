"""Memory and time of the gradient of a long sequence, with and without checkpoints.

Every row is measured in a process of its own.

python -m benchmarks.long            measure, and write the results and the table of the page
python -m benchmarks.long --table    write the table of the page from the results
"""

import argparse
import json
import math
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

__all__ = ["CELLS", "gradient", "measure", "rows", "table"]

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "long.json"
PAGE = ROOT / "docs" / "how_to" / "long_sequences.md"
BEGIN, END = "<!-- table -->\n", "<!-- end of table -->"

CELLS = ("GRUCell", "MinGRUCell", "LRUCell")
LOSSES = {"all": "all outputs", "last": "last state"}
SCANS = {"whole": '`"auto"`', "checkpointed": "`Checkpointed`"}
LENGTHS = (10_000, 100_000)
SIZES = (1, 16, 64)
"""Batch, input and hidden size."""


def rows(
    cells: Sequence[str] = CELLS,
    lengths: Sequence[int] = LENGTHS,
    sizes: tuple[int, int, int] = SIZES,
) -> Iterator[dict[str, Any]]:
    """Rows ``{"cell", "loss", "scan", "T", "temporaries", "peak", "seconds"}``, in bytes.

    ``temporaries`` is the memory that XLA plans for the program, beside weights, inputs and
    results; ``peak`` the peak memory of the process during the runs minus its memory after the
    compilation, which includes the results (measured on Linux); ``seconds`` the shortest of five.
    """
    for cell, loss, scan, steps in product(cells, LOSSES, SCANS, lengths):
        words = [cell, loss, scan, *map(str, (steps, *sizes))]
        command = [sys.executable, "-m", "benchmarks.long", "--row", *words]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        figures = json.loads(done.stdout.splitlines()[-1])
        yield {"cell": cell, "loss": loss, "scan": scan, "T": steps, **figures}


def gradient(cell: str, loss: str, scan: str, steps: int, sizes: tuple[int, int, int]) -> Any:
    """A compiled program, its layer and its input: the gradient of the weights of one layer."""
    import jax
    from flax import nnx

    import jax_rnn
    from jax_rnn.scans import Checkpointed

    batch, features, hidden = sizes
    kind = getattr(jax_rnn, cell)
    layer = jax_rnn.Recurrent(
        kind(features, hidden, rngs=nnx.Rngs(0)),
        scan=Checkpointed(every=math.isqrt(steps)) if scan == "checkpointed" else "auto",
    )
    x = jax.random.normal(jax.random.key(0), (steps, batch, features))

    def value(layer: Any, x: Any) -> Any:
        output, h_n = layer(x)
        return (output**2).mean() if loss == "all" else (abs(h_n) ** 2).mean()

    return jax.jit(jax.value_and_grad(value)).lower(layer, x).compile(), layer, x


def measure(*arguments: Any) -> dict[str, Any]:
    """Measure one row in this process, which should be new."""
    import jax

    from benchmarks.memory import peak

    program, layer, x = jax.block_until_ready(gradient(*arguments))
    forget = Path("/proc/self/clear_refs")
    if forget.exists():
        forget.write_text("5")  # the peak is now what the process holds
    baseline = peak()

    def timed() -> float:
        start = time.perf_counter()
        jax.block_until_ready(program(layer, x))
        return time.perf_counter() - start

    timed()
    seconds = min(timed() for _ in range(5))
    temporaries = program.memory_analysis().temp_size_in_bytes
    return {"temporaries": temporaries, "peak": peak() - baseline, "seconds": seconds}


def table(found: Sequence[dict[str, Any]]) -> str:
    """The rows in Markdown, a line for both lengths."""
    lengths = sorted({row["T"] for row in found})
    heads = ["cell", "the loss reads", "scan"]
    heads += [f"planned, T = {steps:,}" for steps in lengths]
    heads += [f"{what}, T = {lengths[-1]:,}" for what in ("process", "time")]
    lines = [heads, [*["---"] * 3, *["---:"] * (len(heads) - 3)]]
    by = {(row["cell"], row["loss"], row["scan"], row["T"]): row for row in found}
    for cell, loss, scan in dict.fromkeys(key[:3] for key in by):
        last = by[cell, loss, scan, lengths[-1]]
        planned = [_mebibytes(by[cell, loss, scan, steps]["temporaries"]) for steps in lengths]
        line = [f"`{cell}`", LOSSES[loss], SCANS[scan], *planned]
        lines.append([*line, _mebibytes(last["peak"]), f"{last['seconds']:.2f} s"])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _mebibytes(count: float) -> str:
    return f"{count / 2**20:,.1f} MiB" if count < 100 * 2**20 else f"{count / 2**20:,.0f} MiB"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.long",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--table", action="store_true", help="do not measure")
    parser.add_argument("--row", nargs=7, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.row:
        cell, loss, scan, steps, *sizes = options.row
        sizes = tuple(map(int, sizes))
        print(json.dumps(measure(cell, loss, scan, int(steps), sizes)))
        return
    if not options.table:
        from benchmarks.environment import environment

        found = {"environment": environment(2), "sizes": SIZES, "rows": []}
        for row in rows():
            print(row, file=sys.stderr)
            found["rows"].append(row)
        RESULTS.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    before, rest = PAGE.read_text("utf-8").split(BEGIN)
    lines = table(json.loads(RESULTS.read_text("utf-8"))["rows"])
    PAGE.write_text(before + BEGIN + lines + END + rest.split(END)[1], "utf-8")


if __name__ == "__main__":
    main()
