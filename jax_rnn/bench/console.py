"""Print one row of a race on a terminal."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from jax_rnn.bench.race import OURS, Row
from jax_rnn.bench.tune import Tuned

__all__ = ["duration", "print_row", "print_tuned"]

TITLES = {"forward": "forward", "backward": "+ backward", "step": "+ Adam", "loop": "in a loop"}


def print_row(console: Console, row: Row, ceiling: Mapping[str, float]) -> None:
    """Print a table, the largest difference above it, and the libraries that were not timed below.

    "per step" is the median per time step, "ceiling" the share of the fastest matrix product,
    "1st call" includes compilation, "ratio" is the median divided by that of jax_rnn.
    """
    best = max(ceiling.values())
    checked = {name: max(values.values()) for name, values in row.parity.items()}
    others = [f"{name} {value:.0e}" for name, value in checked.items() if name not in row.refused]
    heading = f"[bold]{row.setting.title}[/]"
    if others:
        heading += f": equal results (largest relative difference: {', '.join(others)})"
    console.print(heading, highlight=False, soft_wrap=True)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("")
    headers = ("median", "minimum", "per step", "GFLOP/s", "ceiling", "1st call", "ratio")
    for header in headers:
        table.add_column(header, justify="right", no_wrap=True)
    for kind, entries in row.entries.items():
        table.add_row(TITLES[kind], style="italic")
        for name, entry in entries.items():
            table.add_row(
                f"  {name}",
                duration(entry.median),
                duration(entry.minimum),
                duration(entry.us_per_step / 1e6),
                f"{entry.gflops:.1f}",
                f"{entry.gflops / best:.1%}",
                duration(entry.first_seconds),
                "" if name == OURS or entry.ratio is None else f"{entry.ratio:.2f}",
            )
    console.print(table)
    for name, note in row.notes.items():
        console.print(f"other equations: {name}: {note}", highlight=False, soft_wrap=True)
    for name, reason in row.absent.items():
        console.print(f"not timed: {name}: {reason}", highlight=False, soft_wrap=True)
    for name, reason in row.refused.items():
        console.print(f"not timed: {name}: {reason}", style="bold red", soft_wrap=True)


def print_tuned(console: Console, title: str, rows: Sequence[Tuned]) -> None:
    """Print the times under each of the options, and how to pass those that helped."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column(title, no_wrap=True)
    for header in ("median", "minimum", "speed"):
        table.add_column(header, justify="right", no_wrap=True)
    for k, row in enumerate(rows):
        if k == 0 or row.kind != rows[k - 1].kind:
            table.add_row(TITLES[row.kind], style="italic")
        if not row.refused:
            assert row.median and row.minimum and row.speed
            times = duration(row.median), duration(row.minimum), f"{row.speed:.2f}"
            table.add_row(f"  {row.name}", *times)
    console.print(table)
    for row in rows:
        if row.refused:
            line = f"not timed: {row.name}, {row.kind}: {row.refused}"
            console.print(line, highlight=False, soft_wrap=True, markup=False)
    lines = [
        f"{row.name} helped: {row.kind} {row.speed:.2f} times as fast with "
        f"compiler_options={dict(row.options)}"
        for row in rows
        if row.helps
    ]
    for line in lines or ["no option helped; leave compiler_options out"]:
        console.print(line, highlight=False, soft_wrap=True, markup=False)


def duration(seconds: float) -> str:
    """A time with three digits and a unit."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}" if seconds < 1000 else f"{seconds:.0f} s"
    return f"{seconds / 1e-6:.3g} µs"
