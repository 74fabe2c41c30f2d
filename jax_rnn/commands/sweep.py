"""``jax-rnn sweep``: train with many seeds."""

from typing import Literal

from jax_rnn.commands.common import (
    Kind,
    LessonName,
    Output,
    Seeds,
    SeedsPerCall,
    UsageError,
    Variant,
    console,
    say_written,
)

__all__ = ["sweep"]


def sweep(
    lesson: LessonName,
    *,
    variant: Variant = None,
    seeds: Seeds = 200,
    framework: Literal["jax", "torch", "both"] = "jax",
    init: Literal["torch", "flax"] = "torch",
    device: Kind = None,
    seeds_per_call: SeedsPerCall = None,
    json: Output = None,
    plot: Output = None,
) -> None:
    """Train a lesson with many seeds, and print how many succeed and after how many epochs.

    $ jax-rnn sweep ihello --seeds 10000
    $ jax-rnn sweep rnn_linear --framework both --plot rates.png
    $ jax-rnn sweep ihello --variant gru --init flax --json gru.json

    Args:
        lesson: Name of a lesson, see `jax-rnn lessons`.
        variant: Another model for the same lesson.
        seeds: Number of runs, with seeds from 0.
        framework: JAX runs all seeds in one compiled program, PyTorch one after another.
        init: Distribution of the initial weights, that of torch.nn or that of Flax.
        device: Device of JAX; default: the best device found.
        seeds_per_call: Number of simultaneous runs in JAX, which bounds the memory; default: 1,000
            or more.
        json: Write all results to this file.
        plot: Write the histograms to this file, a .png, .svg or .pdf.
    """
    if seeds < 1:
        raise UsageError(f"--seeds: expected at least 1, got {seeds}")
    import jax

    from jax_rnn.compare.comparison import write_json
    from jax_rnn.compare.console import print_sweeps
    from jax_rnn.compare.outputs import check_outputs
    from jax_rnn.compare.sweep import sweep_jax, sweep_torch
    from jax_rnn.devices import choose
    from jax_rnn.teaching.catalog import load_words

    check_outputs({"--json": json, "--plot": plot})
    chosen = load_words(lesson)
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
    say_written(json, plot)
