"""``jax-rnn sweep``: train with many seeds."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from jax_rnn.app.common import (
    Dtype,
    File,
    Kind,
    LessonName,
    Preset,
    check_outputs,
    console,
    say_written,
)
from jax_rnn.app.failures import UsageError
from jax_rnn.base.errors import ArgumentError

__all__ = ["sweep"]


def sweep(
    lesson: LessonName,
    *,
    preset: Preset = None,
    seeds: int = 200,
    steps: int | None = None,
    dtype: Dtype | None = None,
    text: File = None,
    framework: Literal["jax", "torch", "both"] = "jax",
    init: Literal["torch", "flax"] = "torch",
    device: Kind = None,
    seeds_per_call: int | None = None,
    json: File = None,
    plot: File = None,
) -> None:
    """Train a lesson with many seeds, and print statistics of the runs.

    $ jax-rnn sweep ihello --seeds 10000
    $ jax-rnn sweep rnn_linear --framework both --plot rates.png
    $ jax-rnn sweep ihello --preset gru --init flax --json gru.json
    $ jax-rnn sweep names_generate --seeds 8 --steps 500
    $ jax-rnn sweep char_lm --seeds 4 --steps 200 --text my_book.txt

    Args:
        lesson: Name of a lesson; `jax-rnn lessons` lists them.
        preset: Name of hyperparameters, or of another model for the same lesson.
        seeds: Number of runs, with seeds from 0.
        steps: Number of optimizer steps of each run; by default that of the preset.
        dtype: Data type of weights and inputs; by default that of the preset.
        text: UTF-8 text file to train on (char_lm only).
        framework: Where to train: JAX trains many seeds in one compiled program, PyTorch one seed
            after another.
        init: Distribution of the initial weights: that of torch.nn or that of Flax.
        device: Device of JAX; by default the best one that JAX finds.
        seeds_per_call: Number of seeds that JAX trains at once, which limits the memory; by default
            as many as fit into half of the memory, at most 1,000.
        json: Write all results to this JSON file.
        plot: Write the histograms to this .png, .svg or .pdf file.
    """
    if seeds < 1:
        raise ArgumentError("seeds", f"expected at least 1, got {seeds}")
    import jax

    from jax_rnn.base.devices import choose
    from jax_rnn.lecture.compare.comparison import write_json
    from jax_rnn.lecture.compare.console import print_sweep_heading, print_sweeps
    from jax_rnn.lecture.compare.sweep import sweep_jax, sweep_torch
    from jax_rnn.lecture.lessons import load
    from rnn_lecture.recipe import with_steps

    check_outputs(json=json, plot=plot)
    chosen = load(lesson)
    if not chosen.trained:
        raise UsageError(
            f"expected a lesson that trains, got {lesson}, which only shows shapes; use "
            f"`jax-rnn train {lesson}`"
        )
    recipe = with_steps(chosen.preset(preset), steps)
    given: dict[str, Any] = {
        "recipe": recipe if dtype is None else replace(recipe, dtype=dtype),
        "text": text,
        "init": init,
    }
    sweeps = []
    placed = choose(device)
    print_sweep_heading(console, chosen, given["recipe"], preset, seeds, init)
    with jax.default_device(placed):
        if framework != "torch":
            sweeps.append(sweep_jax(chosen, seeds, preset, **given, seeds_per_call=seeds_per_call))
    if framework != "jax":
        sweeps.append(sweep_torch(chosen, seeds, preset, **given))
    print_sweeps(console, sweeps)
    if json:
        write_json(json, sweeps)
    if plot:
        _plot(sweeps, plot)
    say_written(json, plot)


def _plot(sweeps: Sequence[Any], path: Path) -> None:
    """Write the histograms."""
    from jax_rnn.base.figures import save_figure
    from jax_rnn.lecture.compare.plots import sweep_figure

    save_figure(sweep_figure(sweeps), path)
