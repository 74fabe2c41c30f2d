"""``jax-rnn compare``: compare both frameworks."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Annotated, Any, NamedTuple

from jax_rnn.app.common import (
    Dtype,
    File,
    Preset,
    check_outputs,
    check_seed,
    console,
    say_written,
)
from jax_rnn.app.failures import UsageError
from jax_rnn.base.errors import ArgumentError

__all__ = ["compare"]


class _Run(NamedTuple):
    lesson: Any
    options: dict[str, Any]


def compare(
    lessons: Annotated[tuple[str, ...], "[LESSON ...]"] = (),
    *,
    all: bool = False,
    preset: Preset = None,
    seed: int = 2,
    seeds: int = 1,
    dtype: Dtype = "float32",
    steps: int | None = None,
    text: File = None,
    json: File = None,
    html: File = None,
    plot: File = None,
) -> None:
    """Run lessons in JAX and in PyTorch from the same weights, and print the differences.

    $ jax-rnn compare ihello
    $ jax-rnn compare ihello --dtype float64 --seeds 5
    $ jax-rnn compare char_lm --steps 50 --dtype float64 --html char_lm.html
    $ jax-rnn compare ihello rnn_linear --preset gru --plot gru.png
    $ jax-rnn compare --all --html report.html --json report.json

    Args:
        lessons: Names of lessons; `jax-rnn lessons` lists them.
        all: Compare all lessons.
        preset: Name of hyperparameters, or of another model for the same lesson.
        seed: Seed of the initial weights, which PyTorch draws for both frameworks.
        seeds: Number of runs of each lesson, with consecutive seeds that start at --seed.
        dtype: Data type of weights and inputs in both frameworks.
        steps: Number of optimizer steps; by default 50 for a lesson on a data set, and those of the
            preset for a lesson on a word or a sentence.
        text: UTF-8 text file to train on (char_lm only).
        json: Write all results to this JSON file: an object for one run, a list for several.
        html: Write a report with loss curves, predicted strings and versions to this HTML file.
        plot: Write the loss curves to this .png, .svg or .pdf file.
    """
    check_seed(seed)
    if bool(lessons) == all:
        got = "both" if all else "neither"
        raise UsageError(
            f"expected names of lessons or --all, got {got}; `jax-rnn lessons` lists the names"
        )
    if seeds < 1:
        raise ArgumentError("seeds", f"expected at least 1, got {seeds}")
    check_seed(seed + seeds - 1)
    from jax_rnn.lecture.compare.frameworks import import_seconds

    check_outputs(json=json, html=html, plot=plot)
    import_seconds("jax")
    import_seconds("torch")

    from jax_rnn.lecture.compare.console import print_comparison, print_overview

    options = {"preset": preset, "dtype": dtype, "steps": steps, "text": text}
    runs = _runs(lessons, range(seed, seed + seeds), options)
    if plot and not any(run.lesson.trained for run in runs):
        raise ArgumentError(
            "plot",
            f"expected a lesson that trains, got {', '.join(lessons)}; remove this option",
        )
    results = [_compare(run, alone=len(runs) == 1) for run in runs]
    if len(results) == 1:
        print_comparison(console, results[0])
    else:
        print_overview(console, results)
    _write(results, json, html, plot)
    if any(not rung.passed for result in results for rung in result.rungs):
        sys.exit(1)


def _write(results: list[Any], json: File, html: File, plot: File) -> None:
    """Write the files that were asked for."""
    if json:
        from jax_rnn.lecture.compare.comparison import write_json

        write_json(json, results)
    if html:
        from jax_rnn.lecture.compare.report import write_html

        write_html(html, results)
    if plot:
        from jax_rnn.base.figures import save_figure
        from jax_rnn.lecture.compare.plots import comparison_figure

        save_figure(comparison_figure(results), plot)
    say_written(json, html, plot)


def _runs(names: tuple[str, ...], seeds: range, options: dict[str, Any]) -> list[_Run]:
    """All runs, of which every option and the data have been checked."""
    from jax_rnn.lecture import lessons
    from jax_rnn.lecture.compare.parity import steps_of

    runs = []
    for lesson in map(lessons.load, names or lessons.lesson_names()):
        recipe, given = lesson.preset(options["preset"]), dict(options)
        if len(names) != 1 and not lesson.trained:
            given["steps"] = None
        steps_of(lesson, recipe, given["steps"])
        lesson.check_text(given["text"])
        if lesson.holds_out:
            lesson.read(recipe, given["text"])
        runs += [_Run(lesson, given | {"seed": seed}) for seed in seeds]
    return runs


def _compare(run: _Run, *, alone: bool) -> Any:
    """One comparison; alone, a table of its steps is shown."""
    from jax_rnn.lecture.compare.console import StepTable
    from jax_rnn.lecture.compare.parity import compare, steps_of

    lesson, options = run
    steps = steps_of(lesson, lesson.preset(options["preset"]), options["steps"])
    nothing = nullcontext(lambda pair: None)
    if alone:
        console.print(f"[bold]{lesson.name}[/]: {lesson.teaches}", highlight=False)
        console.print(f"[dim]slide: {lesson.slide}[/]", highlight=False)
        shown: Any = StepTable(console, steps, lesson.facts.target)
    else:
        console.print(f"{lesson.name}, seed {options['seed']}", highlight=False)
        shown = _bar(steps)
    with shown if steps else nothing as on_step:
        return compare(lesson.name, **options, on_step=on_step)


@contextmanager
def _bar(steps: int) -> Iterator[Callable[[Any], None]]:
    """A progress bar of the steps of the second framework."""
    from jax_rnn.base.progress import progress_bar

    with progress_bar("PyTorch", steps) as advance:
        yield lambda pair: advance(1)
