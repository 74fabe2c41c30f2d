"""Comparisons and sweeps on a terminal.

Numbers are never truncated: if a table is too wide, the strings in it are shortened.
"""

import textwrap
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from jax_rnn.lecture.compare.comparison import DISTRIBUTIONS, Comparison, counted, title_of
from jax_rnn.lecture.compare.parity import StepPair
from jax_rnn.lecture.compare.sweep import Sweep, interval, spread
from jax_rnn.lecture.teaching.lesson import Lesson
from jax_rnn.testing import Rung

__all__ = [
    "StepTable",
    "print_comparison",
    "print_overview",
    "print_sweep_heading",
    "print_sweeps",
]

MILESTONES = (1, 2, 3, 4, 5, 6, 8, 10, 15)
"""Steps that stay in the table; after them, one row per tenth of the run stays."""

NUMBERS = (5, 8, 12, 10)
"""Widths of the columns of numbers: step, both losses and their difference."""

GAP = 2
"""Spaces between two columns."""

CHAOTIC = 1e-4
"""Difference of float32 losses above which a note on rounding is printed."""

LABEL = 21
"""Width of the labels below the tables."""


class StepTable:
    """A table that grows while the second framework trains; the last row is the current step.

    Args:
        console: where it is printed.
        steps: number of steps.
        target: the string to learn; None if nothing is predicted.
    """

    def __init__(self, console: Console, steps: int, target: str | None):
        self.console, self.steps, self.target = console, steps, target
        self.rows: list[StepPair] = []
        self.latest: StepPair | None = None
        self.live = Live(console=console, get_renderable=self._table, refresh_per_second=12)

    def __enter__(self) -> "StepTable":
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

    def __call__(self, pair: StepPair) -> None:
        every = max(1, self.steps // 10)
        kept = pair.step in MILESTONES or pair.step % every == 0 or pair.step == self.steps
        if kept:
            self.rows.append(pair)
        self.latest = None if kept else pair

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        unit = "step" if self.target is None else "epoch"
        for header, width in zip(
            (unit, "loss JAX", "loss PyTorch", "difference"), NUMBERS, strict=True
        ):
            table.add_column(header, justify="right", no_wrap=True, min_width=width)
        longest = max((self.console.width - sum(width + GAP for width in NUMBERS)) // 2 - GAP, 1)
        for header in ("JAX predicts", "PyTorch predicts") if self.target is not None else ():
            table.add_column(header, no_wrap=True, overflow="ellipsis", max_width=longest)
        for pair in [*self.rows, *([self.latest] if self.latest else [])]:
            ours, theirs = pair.loss
            table.add_row(
                str(pair.step),
                f"{ours:.6f}",
                f"{theirs:.6f}",
                f"{abs(ours - theirs):.1e}",
                *(self._prediction(text, pair) for text in pair.prediction if text is not None),
            )
        return table

    def _prediction(self, text: str, pair: StepPair) -> Text:
        differ = pair.prediction[0] != pair.prediction[1]
        return Text(text, style="red" if differ else "green" if text == self.target else "")


def print_comparison(console: Console, result: Comparison) -> None:
    """Print the summary of one comparison: shapes, held-out figures, times, differences."""
    console.print()
    console.print(_two_columns(result))
    console.print()
    if result.dropout:
        console.print(
            f"dropout is 0 instead of the preset's {result.dropout:g}, since the two frameworks "
            "draw different masks",
            highlight=False,
        )
    for name, text, style in _verdict(result):
        _print_labelled(console, name, text, style)


def _two_columns(result: Comparison) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    table.add_column("", style="dim")
    sides = result.frameworks
    for side in sides:
        table.add_column(title_of(side), justify="right")
    for part, shapes in result.shapes.items():
        table.add_row(f"{part} shape", *(_shapes(shapes[side]) for side in sides))
    for name in result.figures[sides[0]]:
        table.add_row(f"held out, {name}", *(f"{result.figures[side][name]:.6f}" for side in sides))
    for part in ("import", "compile", "run", "evaluate"):
        times = [result.seconds[side].get(part) for side in sides]
        if any(time is not None for time in times):
            name = f"run, {result.length}" if part == "run" else part
            table.add_row(f"{name} (s)", *("-" if t is None else f"{t:.4f}" for t in times))
    return table


def _print_labelled(console: Console, name: str, text: str, style: str = "") -> None:
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
            f"{result.predictions_equal} of {result.steps}" if result.target is not None else "-",
        )
    console.print()
    console.print(table)


def print_sweep_heading(
    console: Console, lesson: Lesson, recipe: Any, preset: str | None, seeds: int, init: str
) -> None:
    """Print what a sweep does, before it begins."""
    title = lesson.name if preset is None else f"{lesson.name} ({preset})"
    runs = counted(seeds, "seed")
    steps = counted(recipe.steps, "step" if lesson.holds_out else "epoch")
    console.print(
        f"[bold]{title}[/], {runs}, {steps}, initial weights as in {DISTRIBUTIONS[init]}",
        highlight=False,
    )


def print_sweeps(console: Console, sweeps: Sequence[Sweep]) -> None:
    """Print rates, epochs, losses and held-out figures, with one column per framework."""
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    table.add_column("", style="dim")
    for sweep in sweeps:
        table.add_column(title_of(sweep.framework), justify="right")
    for name, *cells in [*_letters(sweeps), *_spreads(sweeps)]:
        table.add_row(name, *cells)
    table.add_row("seconds in total", *(f"{s.seconds:.1f}" for s in sweeps))
    console.print(table)
    if len(sweeps) > 1 and sweeps[0].init == "torch":
        console.print(
            "Each framework draws its own initial weights from the same distribution, so compare "
            "the rates, not single seeds.",
            highlight=False,
        )


def _letters(sweeps: Sequence[Sweep]) -> Iterator[list[str]]:
    """Rows on correct letters: how many runs, and after how many epochs."""
    if any(s.ever is None for s in sweeps):
        return
    for name, counts in (
        ("all letters correct at some epoch", [s.ever or 0 for s in sweeps]),
        (f"all letters correct at epoch {sweeps[0].steps}", [s.at_end or 0 for s in sweeps]),
    ):
        pairs = [(count, s.seeds) for count, s in zip(counts, sweeps, strict=True)]
        yield [name, *(_rate(*pair) for pair in pairs)]
        yield ["  95 % confidence interval", *(_interval(*pair) for pair in pairs)]
    yield ["first correct epoch, median", *(_epoch(s.median_first_epoch) for s in sweeps)]
    stable = (_epoch(s.median_stable_epoch) for s in sweeps)
    yield ["stays correct from epoch, median", *stable]


def _spreads(sweeps: Sequence[Sweep]) -> Iterator[list[str]]:
    """Rows on the losses and held-out figures at the end: minimum, median and maximum."""
    spreads = {"last loss": [s.loss for s in sweeps]}
    if sweeps[0].ever is None:
        names = sweeps[0].figures
        spreads |= {f"held out, {k}": [spread(s.figures[k]) for s in sweeps] for k in names}
    for name, values in spreads.items():
        for part in ("min", "median", "max"):
            yield [f"{name}, {part}", *(f"{value[part]:.4f}" for value in values)]


def _verdict(result: Comparison) -> Iterator[tuple[str, str, str]]:
    """Name, text and style of every line."""
    gaps = result.max_abs_value_difference
    before = f"output {gaps['output']:.1e}"
    if result.shapes["hidden"][result.frameworks[0]]:
        before += f", hidden {gaps['hidden']:.1e}"
    if result.steps:
        before += f", gradients {_gap(result.max_abs_gradient_difference)}"
    yield "differences", "the largest absolute difference of any element", ""
    yield "  before training", before, ""
    if result.steps:
        after = (
            f"loss {_gap(result.max_abs_loss_difference)}, "
            f"weights {_gap(result.max_abs_weight_difference)}"
        )
        if result.max_abs_figure_difference is not None:
            after += f", held-out figures {_gap(result.max_abs_figure_difference)}"
        yield f"  {result.length}", after, ""
        if result.target is not None:
            yield "  strings", _strings(result), ""
        if result.dtype == "float32" and (result.max_abs_loss_difference or 0) > CHAOTIC:
            note = "rounding, which Adam amplifies; compare with --dtype float64"
            yield "  cause", note, ""
    yield _ladder(result.rungs)


def _strings(result: Comparison) -> str:
    right = [result.predictions[side][-1] == result.target for side in result.frameworks]
    last = {2: "both match the target", 1: "one matches the target", 0: "neither matches"}
    equal = f"equal at {result.predictions_equal} of {result.steps} epochs"
    return f"{equal}; after the last, {last[sum(right)]}"


def _ladder(rungs: Sequence[Rung]) -> tuple[str, str, str]:
    """Name, text and style of the line on the parity ladder."""
    name = "parity ladder"
    if rungs[-1].passed:
        return name, f"all passed: {', '.join(rung.name for rung in rungs)}", ""
    return name, f"fails at {rungs[-1].name}: {rungs[-1].detail}", "red"


def _shapes(shapes: Sequence[tuple[int, ...]]) -> str:
    return ", ".join(str(tuple(shape)) for shape in shapes) or "-"


def _gap(gap: float | None) -> str:
    return "-" if gap is None else f"{gap:.1e}"


def _rate(count: int, seeds: int) -> str:
    return f"{count} of {seeds} ({count / seeds:.0%})"


def _interval(count: int, seeds: int) -> str:
    low, high = interval(count, seeds)
    return f"{low:.1%} to {high:.1%}"


def _epoch(epoch: float | None) -> str:
    return "never" if epoch is None else f"{epoch:.1f}"
