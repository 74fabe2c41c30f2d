"""``jax-rnn compare``: compare both frameworks."""

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Annotated, Any

import tyro

from jax_rnn.commands.common import (
    Dtype,
    Output,
    Seeds,
    UsageError,
    Variant,
    check_seed,
    console,
    say_written,
)
from jax_rnn.lessons import DATA_SETS

__all__ = ["compare"]

MaybeLesson = Annotated[tyro.conf.Positional[str | None], tyro.conf.arg(metavar="[LESSON]")]


def compare(
    lesson: MaybeLesson = None,
    *,
    all: tyro.conf.FlagCreatePairsOff[bool] = False,
    variant: Variant = None,
    seed: int = 2,
    seeds: Seeds = 1,
    dtype: Dtype = "float32",
    steps: Annotated[int | None, tyro.conf.arg(metavar="N")] = None,
    json: Output = None,
    html: Output = None,
    plot: Output = None,
) -> None:
    """Run a lesson in JAX and in PyTorch from the same weights, and print the differences.

    $ jax-rnn compare ihello
    $ jax-rnn compare ihello --dtype float64 --seeds 5
    $ jax-rnn compare char_lm --steps 50 --dtype float64
    $ jax-rnn compare --all --html report.html --json report.json

    Args:
        lesson: Name of a lesson, see `jax-rnn lessons`.
        all: Compare all lessons on a word or a sentence; lessons on data sets are compared singly.
        variant: Another model for the same lesson.
        seed: Seed of torch, which draws the initial weights of both frameworks.
        seeds: Number of runs, with consecutive seeds from --seed.
        dtype: Data type of weights and inputs in both frameworks.
        steps: Number of optimizer steps of a lesson on real data; default: 50.
        json: Write all results to this file, one run as an object, several as a list.
        html: Write a report with curves, strings and environment to this file.
        plot: Write the loss curves to this file, a .png, .svg or .pdf.
    """
    check_seed(seed)
    if (lesson is None) != all:
        raise UsageError("expected the name of a lesson, or --all; `jax-rnn lessons` lists them")
    if lesson in DATA_SETS:
        only = {"--variant": variant, "--html": html, "--plot": plot, "--seeds": seeds > 1 or None}
        for option, value in only.items():
            if value is not None:
                raise UsageError(
                    f"{option}: not supported for {lesson}, a lesson on a data set; remove it"
                )
        _compare_on_data(lesson, seed=seed, dtype=dtype, steps=steps or 50, json=json)
        return
    if steps is not None:
        raise UsageError("--steps: only supported for lessons on a data set; remove it")
    if seeds < 1:
        raise UsageError(f"--seeds: expected at least 1, got {seeds}")
    from jax_rnn.compare.frameworks import import_seconds
    from jax_rnn.compare.outputs import check_outputs

    check_outputs({"--json": json, "--html": html, "--plot": plot})
    import_seconds("jax")
    import_seconds("torch")

    from jax_rnn.compare.comparison import write_json
    from jax_rnn.compare.console import EpochTable, print_comparison, print_overview
    from jax_rnn.compare.parity import compare as run
    from jax_rnn.lessons import WORDS, load

    names = WORDS if lesson is None else (lesson,)
    runs = [(load(name), s) for name in names for s in range(seed, seed + seeds)]
    for compared, _ in runs:
        compared.architecture(replace(compared.recipe, variant=variant or ""), {})
    if plot and not any(compared.trained for compared, _ in runs):
        raise UsageError(f"--plot: expected a lesson that trains, got {lesson}")
    results = []
    for compared, s in runs:
        if len(runs) == 1:
            console.print(
                f"[bold]{compared.name}[/]: {compared.slide}. {compared.teaches}", highlight=False
            )
        else:
            console.print(f"{compared.name}, seed {s}", highlight=False)
        shown = len(runs) == 1 and compared.trained
        table = EpochTable(console, compared.epochs, compared.target) if shown else nullcontext()
        with table:
            watch = {"on_epoch": table} if isinstance(table, EpochTable) else {}
            results.append(run(compared.name, variant, seed=s, dtype=dtype, **watch))
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
    say_written(json, html, plot)
    if all:
        console.print(
            "Not included: the lessons on data sets. Compare them singly, as in "
            f"`jax-rnn compare {DATA_SETS[0]}`: {', '.join(DATA_SETS)}.",
            highlight=False,
        )
    _fail_if_different(results)


def _compare_on_data(name: str, *, seed: int, dtype: Dtype, steps: int, json: Output) -> None:
    from jax_rnn.compare.comparison import write_json
    from jax_rnn.compare.outputs import check_outputs
    from jax_rnn.compare.tasks import compare_task, print_task_comparison
    from jax_rnn.lessons import load
    from jax_rnn.train.progress import progress_bar

    check_outputs({"--json": json})
    console.print(f"[bold]{name}[/]: {load(name).teaches}", highlight=False)
    with progress_bar("PyTorch", steps) as advance:
        result = compare_task(
            name, seed=seed, dtype=dtype, steps=steps, on_step=lambda pair: advance(1)
        )
    print_task_comparison(console, result)
    if json:
        write_json(json, [result])
    say_written(json)
    _fail_if_different([result])


def _fail_if_different(results: Sequence[Any]) -> None:
    """Exit with 1 if a rung of the ladder fails."""
    if any(not rung.passed for result in results for rung in result.rungs):
        sys.exit(1)
