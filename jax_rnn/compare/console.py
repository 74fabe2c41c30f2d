"""Comparisons and sweeps on a terminal.

Numbers are never truncated: if a table is too wide, the strings in it are shortened.
"""

import textwrap
from collections.abc import Iterator, Sequence
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from jax_rnn.compare.comparison import Comparison
from jax_rnn.compare.parity import EpochPair
from jax_rnn.compare.sweep import Sweep, interval
from jax_rnn.testing import Rung

__all__ = [
    "EpochTable",
    "ladder",
    "print_comparison",
    "print_labelled",
    "print_overview",
    "print_sweeps",
]

MILESTONES = (1, 2, 3, 4, 5, 6, 8, 10, 15)
"""Epochs that stay in the table; after them, one row per tenth of the run stays."""

NUMBERS = {"epoch": 5, "loss JAX": 8, "loss PyTorch": 12, "difference": 10}
"""Number columns of the table of epochs, and their widths."""

GAP = 2
"""Spaces between two columns."""

CHAOTIC = 1e-4
"""Difference of float32 losses above which a note on rounding is printed."""

LABEL = 21
"""Width of the labels below the tables."""


class EpochTable:
    """A table that grows while torch trains; the last row is the current epoch."""

    def __init__(self, console: Console, epochs: int, target: str | None):
        self.console, self.epochs, self.target = console, epochs, target
        self.rows: list[EpochPair] = []
        self.latest: EpochPair | None = None
        self.live = Live(console=console, get_renderable=self._table, refresh_per_second=12)

    def __enter__(self) -> "EpochTable":
        self.live.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.live.__exit__(kind, error, traceback)
        if not self.live.console.is_terminal:  # rich does not end the last line in this case
            self.live.console.line()

    def __call__(self, pair: EpochPair) -> None:
        every = max(1, self.epochs // 10)
        kept = pair.epoch in MILESTONES or pair.epoch % every == 0 or pair.epoch == self.epochs
        if kept:
            self.rows.append(pair)
        self.latest = None if kept else pair

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        for header, width in NUMBERS.items():
            table.add_column(header, justify="right", no_wrap=True, min_width=width)
        rest = self.console.width - sum(width + GAP for width in NUMBERS.values())
        longest = max(rest // 2 - GAP, 1)
        for header in ("JAX predicts", "PyTorch predicts"):
            table.add_column(header, no_wrap=True, overflow="ellipsis", max_width=longest)
        for pair in [*self.rows, *([self.latest] if self.latest else [])]:
            ours, theirs = pair.loss
            table.add_row(
                str(pair.epoch),
                f"{ours:.6f}",
                f"{theirs:.6f}",
                f"{abs(ours - theirs):.1e}",
                *(self._prediction(text, pair) for text in pair.prediction),
            )
        return table

    def _prediction(self, text: str, pair: EpochPair) -> Text:
        differ = pair.prediction[0] != pair.prediction[1]
        return Text(text, style="red" if differ else "green" if text == self.target else "")


def print_comparison(console: Console, result: Comparison) -> None:
    """Print the summary of one comparison."""
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    table.add_column("", style="dim")
    table.add_column("JAX", justify="right")
    table.add_column("PyTorch", justify="right")
    for part, shapes in result.shapes.items():
        table.add_row(f"{part} shape", *(_shapes(shapes[side]) for side in ("jax", "torch")))
    for part in ("import", "compile", "run"):
        times = [result.seconds[side].get(part) for side in ("jax", "torch")]
        if any(time is not None for time in times):
            name = f"run, {result.epochs} epochs" if part == "run" else part
            table.add_row(name, *(_seconds(time) for time in times))
    console.print()
    console.print(table)
    console.print()
    for name, text, style in _verdict(result):
        print_labelled(console, name, text, style)


def print_labelled(console: Console, name: str, text: str, style: str = "") -> None:
    """Print ``name`` in one column and ``text`` in the next, wrapped between words."""
    lines = textwrap.wrap(text, max(console.width - LABEL, 20)) or [""]
    for k, line in enumerate(lines):
        console.print(
            Text.assemble((f"{name if k == 0 else '':{LABEL}}", "dim"), (line, style)),
            soft_wrap=True,
        )


def print_overview(console: Console, results: Sequence[Comparison]) -> None:
    """Print a table with one row per comparison."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("lesson", no_wrap=True, overflow="ellipsis")
    for header in ("seed", "loss", "gradients", "weights", "outputs", "equal strings"):
        table.add_column(header, justify="right", no_wrap=True, min_width=len(header))
    table.title = f"largest differences, {results[0].dtype}"
    table.title_justify = "left"
    for result in results:
        table.add_row(
            result.title,
            str(result.seed),
            _gap(result.max_abs_loss_difference),
            _gap(result.max_abs_gradient_difference),
            _gap(result.max_abs_weight_difference),
            _gap(result.max_abs_value_difference["output"]),
            f"{result.predictions_equal} of {result.epochs}" if result.epochs else "-",
        )
    console.print()
    console.print(table)


def print_sweeps(console: Console, sweeps: Sequence[Sweep]) -> None:
    """Print rates, epochs and losses, with one column per framework."""
    names = {"jax": "JAX", "torch": "PyTorch"}
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    table.add_column("", style="dim")
    for sweep in sweeps:
        table.add_column(names[sweep.framework], justify="right")

    def row(name: str, *cells: str) -> None:
        table.add_row(name, *cells)

    row("all letters correct, ever", *(_rate(s.ever, s.seeds) for s in sweeps))
    row("  95 % interval", *(_interval(s.ever, s.seeds) for s in sweeps))
    row(f"at epoch {sweeps[0].epochs}", *(_rate(s.at_end, s.seeds) for s in sweeps))
    row("  95 % interval", *(_interval(s.at_end, s.seeds) for s in sweeps))
    row("first correct epoch, median", *(_epoch(s.median_first_epoch) for s in sweeps))
    row("correct to the end from, median", *(_epoch(s.median_stable_epoch) for s in sweeps))
    for part in ("min", "median", "max"):
        row(f"last loss, {part}", *(f"{s.loss[part]:.4f}" for s in sweeps))
    row("seconds in total", *(f"{s.seconds:.1f}" for s in sweeps))
    first = sweeps[0]
    console.print(
        f"[bold]{first.title}[/], {first.seeds} seeds, {first.epochs} epochs, "
        f"{first.init} initial values",
        highlight=False,
    )
    console.print(table)
    if len(sweeps) > 1 and first.init == "torch":
        console.print(
            "Each framework draws its own initial weights from the same distribution: compare "
            "the rates, not single seeds.",
            highlight=False,
        )


def _verdict(result: Comparison) -> Iterator[tuple[str, str, str]]:
    """Name, text and style of every line."""
    gaps = result.max_abs_value_difference
    before = f"output {gaps['output']:.1e}"
    if result.shapes["hidden"]["jax"]:
        before += f", hidden {gaps['hidden']:.1e}"
    if result.epochs:
        before += f", gradients {_gap(result.max_abs_gradient_difference)}"
    yield "largest differences", "", "bold"
    yield "  before training", before, ""
    if result.epochs:
        after = (
            f"loss {_gap(result.max_abs_loss_difference)}, "
            f"weights {_gap(result.max_abs_weight_difference)}"
        )
        yield f"  {result.epochs} epochs", after, ""
        right = [result.predictions[side][-1] == result.target for side in ("jax", "torch")]
        last = {2: "both match the target", 1: "one matches the target", 0: "none matches"}
        strings = f"equal at {result.predictions_equal} of {result.epochs} epochs"
        yield "  strings", f"{strings}; after the last, {last[sum(right)]}", ""
        if result.dtype == "float32" and (result.max_abs_loss_difference or 0) > CHAOTIC:
            note = "rounding, which Adam amplifies; --dtype float64 shows the same run without it"
            yield "  cause", note, ""
    yield ladder(result.rungs)


def ladder(rungs: Sequence[Rung]) -> tuple[str, str, str]:
    """Name, text and style of the line on the parity ladder."""
    name = "parity ladder"
    if rungs[-1].passed:
        return name, f"all passed: {', '.join(rung.name for rung in rungs)}", ""
    return name, f"fails at {rungs[-1].name}: {rungs[-1].detail}", "red"


def _shapes(shapes: Sequence[tuple[int, ...]]) -> str:
    return ", ".join(str(tuple(shape)) for shape in shapes) or "-"


def _seconds(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return f"{seconds * 1e3:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def _gap(gap: float | None) -> str:
    return "-" if gap is None else f"{gap:.1e}"


def _rate(count: int, seeds: int) -> str:
    return f"{count} of {seeds} ({count / seeds:.0%})"


def _interval(count: int, seeds: int) -> str:
    low, high = interval(count, seeds)
    return f"{low:.1%} to {high:.1%}"


def _epoch(epoch: float | None) -> str:
    return "never" if epoch is None else f"{epoch:g}"
