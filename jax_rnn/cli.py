"""The command line: ``jax-rnn lessons | train | compare | sweep | doctor``.

Nothing heavy is imported before a command needs it, so that help comes at once.
"""

import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console
from rich.markup import escape

__all__ = ["main"]

LessonName = Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="LESSON")]
MaybeLesson = Annotated[tyro.conf.Positional[str | None], tyro.conf.arg(metavar="[LESSON]")]
Seeds = Annotated[int, tyro.conf.arg(metavar="N")]
Output = Annotated[Path | None, tyro.conf.arg(metavar="FILE")]
Kind = Annotated[Literal["cpu", "gpu", "tpu"] | None, tyro.conf.arg(metavar="cpu|gpu|tpu")]
Variant = Annotated[str | None, tyro.conf.arg(metavar="NAME")]
Dtype = Literal["float32", "float64"]

app = tyro.extras.SubcommandApp()
console = Console()
errors = Console(stderr=True)


class UsageError(ValueError):
    """The command line asks for something that does not fit together."""


@app.command
def lessons() -> None:
    """List the lecture's programs: name, slide, what each teaches.

    $ jax-rnn lessons
    """
    from rich.table import Table

    from jax_rnn.lessons import NAMES, load

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("lesson", no_wrap=True)
    table.add_column("slide", ratio=3)
    table.add_column("it teaches", ratio=5)
    table.add_column("variants", ratio=2)
    for name in NAMES:
        lesson = load(name)
        table.add_row(name, lesson.slide, lesson.teaches, ", ".join(lesson.variants) or "-")
    console.print(table)


@app.command
def train(
    lesson: LessonName,
    *,
    variant: Variant = None,
    seed: int = 2,
    init: Literal["torch", "flax"] = "torch",
    dtype: Dtype = "float32",
    device: Kind = None,
) -> None:
    """Train a lesson in JAX and print what the slide prints.

    $ jax-rnn train ihello
    $ jax-rnn train long_sentence --seed 7
    $ jax-rnn train ihello --variant gru --device gpu

    Args:
        lesson: One of those that `jax-rnn lessons` lists.
        variant: Another model for the same task.
        seed: Of the initial weights.
        init: Initial distribution, that of torch.nn or that of Flax.
        dtype: Of weights and inputs.
        device: Where to run; the best kind there is by default.
    """
    import jax
    from flax import nnx

    from jax_rnn.devices import choose
    from jax_rnn.lessons import load
    from jax_rnn.lessons.transcript import transcript

    chosen = load(lesson)
    with jax.enable_x64(dtype == "float64"), jax.default_device(choose(device)):
        model = chosen.build(variant, init=init, rngs=nnx.Rngs(seed))
        for line in transcript(chosen, model, explain=variant is None):
            console.print(line, highlight=False, markup=False, soft_wrap=True)


@app.command
def compare(
    lesson: MaybeLesson = None,
    *,
    all: tyro.conf.FlagCreatePairsOff[bool] = False,
    variant: Variant = None,
    seed: int = 2,
    seeds: Seeds = 1,
    dtype: Dtype = "float32",
    json: Output = None,
    html: Output = None,
    plot: Output = None,
) -> None:
    """Run a lesson in JAX and in PyTorch from the same weights; show how far apart they are.

    $ jax-rnn compare ihello
    $ jax-rnn compare ihello --dtype float64 --seeds 5
    $ jax-rnn compare --all --html report.html --json report.json

    Args:
        lesson: One of those that `jax-rnn lessons` lists.
        all: Every lesson of the lecture.
        variant: Another model for the same task.
        seed: Of torch, which draws the initial weights for both.
        seeds: So many runs, from the seed up.
        dtype: Of weights and inputs in both.
        json: Write every number there; one run as an object, several as a list.
        html: Write a page with curves, strings and environment there.
        plot: Write the curves there, as .png, .svg or .pdf.
    """
    if (lesson is None) != all:
        raise UsageError("expected the name of a lesson, or --all; `jax-rnn lessons` lists them")
    if seeds < 1:
        raise UsageError(f"--seeds: expected at least 1, got {seeds}")
    from jax_rnn.compare.outputs import check_outputs
    from jax_rnn.compare.timing import import_seconds

    check_outputs({"--json": json, "--html": html, "--plot": plot})
    import_seconds("jax")

    from jax_rnn.compare.comparison import write_json
    from jax_rnn.compare.console import EpochTable, print_comparison, print_overview
    from jax_rnn.compare.parity import compare as run
    from jax_rnn.lessons import NAMES, load

    names = NAMES if lesson is None else (lesson,)
    runs = [(load(name), s) for name in names for s in range(seed, seed + seeds)]
    for told, _ in runs:
        told.builder(variant)
    results = []
    for told, s in runs:
        if len(runs) == 1:
            console.print(f"[bold]{told.name}[/]: {told.slide}. {told.teaches}", highlight=False)
        else:
            console.print(f"{told.name}, seed {s}", highlight=False)
        shown = len(runs) == 1 and told.trained
        table = EpochTable(console, told.epochs, told.target) if shown else nullcontext()
        with table:
            watch = {"on_epoch": table} if isinstance(table, EpochTable) else {}
            results.append(run(told.name, variant, seed=s, dtype=dtype, **watch))
    if len(results) == 1:
        print_comparison(console, results[0])
    else:
        print_overview(console, results)

    if json:
        write_json(json, results)
    if html:
        from jax_rnn.compare.report import write_html

        write_html(html, results)
    if plot:
        from jax_rnn.compare.plots import comparison_figure, save_figure

        save_figure(comparison_figure(results), plot)
    _say_written(json, html, plot)


@app.command
def sweep(
    lesson: LessonName,
    *,
    variant: Variant = None,
    seeds: Seeds = 200,
    framework: Literal["jax", "torch", "both"] = "jax",
    init: Literal["torch", "flax"] = "torch",
    device: Kind = None,
    seeds_per_call: Seeds = 1000,
    json: Output = None,
    plot: Output = None,
) -> None:
    """Train a lesson from many seeds at once; show how often it succeeds, and how soon.

    $ jax-rnn sweep ihello --seeds 10000
    $ jax-rnn sweep rnn_linear --framework both --plot rates.png
    $ jax-rnn sweep ihello --variant gru --init flax --json gru.json

    Args:
        lesson: One of those that `jax-rnn lessons` lists.
        variant: Another model for the same task.
        seeds: So many runs, from seed 0 up.
        framework: JAX runs all seeds in one compiled program, PyTorch one after another.
        init: Initial distribution, that of torch.nn or that of Flax.
        device: Where JAX runs; the best kind there is by default.
        seeds_per_call: Runs at once in JAX; bounds the memory.
        json: Write every number there.
        plot: Write the histograms there, as .png, .svg or .pdf.
    """
    if seeds < 1:
        raise UsageError(f"--seeds: expected at least 1, got {seeds}")
    import jax

    from jax_rnn.compare.comparison import write_json
    from jax_rnn.compare.console import print_sweeps
    from jax_rnn.compare.outputs import check_outputs
    from jax_rnn.compare.sweep import sweep_jax, sweep_torch
    from jax_rnn.devices import choose
    from jax_rnn.lessons import load

    check_outputs({"--json": json, "--plot": plot})
    chosen = load(lesson)
    sweeps = []
    with jax.default_device(choose(device)):
        if framework != "torch":
            sweeps.append(
                sweep_jax(chosen, seeds, variant, init=init, seeds_per_call=seeds_per_call)
            )
    if framework != "jax":
        sweeps.append(sweep_torch(chosen, seeds, variant, init=init))
    print_sweeps(console, sweeps)

    if json:
        write_json(json, sweeps)
    if plot:
        from jax_rnn.compare.plots import save_figure, sweep_figure

        save_figure(sweep_figure(sweeps), plot)
    _say_written(json, plot)


@app.command
def doctor() -> None:
    """Say what is installed, where it runs, how precisely, and what is missing.

    $ jax-rnn doctor
    """
    from jax_rnn.doctor import examine

    for line in examine():
        console.print(line, highlight=False)


def _say_written(*paths: Path | None) -> None:
    for path in paths:
        if path:
            console.print(f"written: {path}", highlight=False, markup=False, soft_wrap=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command. Exits with 1 on failure and 2 on wrong usage, saying why on standard error."""
    try:
        app.cli(
            prog="jax-rnn",
            description="Recurrent networks in JAX, side by side with PyTorch.",
            args=None if arguments is None else list(arguments),
            config=(tyro.conf.HelptextFromCommentsOff,),
        )
    except BrokenPipeError:  # the reader has seen enough, as in `jax-rnn train ihello | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if not isinstance(error, _expected()):
            raise
        _fail(error)


def _expected() -> tuple[type[Exception], ...]:
    """Errors that tell the user what to do; any other is a fault of ours and shows itself."""
    from jax_rnn.devices import DeviceError
    from jax_rnn.lessons import UnknownLessonError
    from jax_rnn.train.history import NonFiniteLossError

    return (
        DeviceError,
        UnknownLessonError,
        NonFiniteLossError,
        ValueError,
        ModuleNotFoundError,
        OSError,
    )


def _fail(error: Exception) -> None:
    errors.print(f"[bold red]error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
    sys.exit(2 if isinstance(error, LookupError | ValueError) else 1)
