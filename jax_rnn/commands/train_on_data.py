"""``jax-rnn train`` for a lesson on real data."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from rich.console import Console

from jax_rnn.commands.resuming import Begun, read_begun, spell_out
from jax_rnn.console import say
from jax_rnn.lessons import load_task
from jax_rnn.lessons.recipe import Recipe

__all__ = ["train_on_data"]

DESCRIPTION = """Train this lesson in JAX, in a run folder from which training can be resumed.

{teaches}

Values of --preset: {presets}.

$ jax-rnn train {name}
$ jax-rnn train {name} --out runs/mine --hidden-size 96 --steps 2000
$ jax-rnn train --resume runs/mine
$ jax-rnn train {name} --mesh data=8
"""


@dataclass(frozen=True)
class Options:
    """Options of the run.

    Attributes:
        out: Folder of the run; default: a new folder in runs/.
        resume: Resume the run in --out, or in --resume RUN; its options are read from the folder.
        preset: Name of the hyperparameters, which the options below override.
        text: UTF-8 text file to train on (char_lm only).
        mesh: Devices to shard every batch over, for example data=8.
        device: Device to run on; default: the best device found.
        init: Distribution of the initial weights, that of torch.nn or that of Flax.
        tensorboard: Also write events for TensorBoard.
        distributed: Connect to the other processes of a cluster that JAX detects (TPU, Slurm).
        coordinator: Address host:port of process 0, if JAX cannot detect the cluster.
        processes: Number of processes, with --coordinator.
        process: Number of this process, from 0, with --coordinator.
        connect_timeout: Seconds to wait for the other processes.
    """

    out: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    resume: tyro.conf.FlagCreatePairsOff[bool] = False
    preset: Annotated[str, tyro.conf.arg(metavar="NAME")] = "default"
    text: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    mesh: Annotated[str | None, tyro.conf.arg(metavar="data=N")] = None
    device: Annotated[Literal["cpu", "gpu", "tpu"] | None, tyro.conf.arg(metavar="cpu|gpu|tpu")] = (
        None
    )
    init: Literal["torch", "flax"] = "torch"
    tensorboard: tyro.conf.FlagCreatePairsOff[bool] = False
    distributed: tyro.conf.FlagCreatePairsOff[bool] = False
    coordinator: Annotated[str | None, tyro.conf.arg(metavar="HOST:PORT")] = None
    processes: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    process: Annotated[int | None, tyro.conf.arg(metavar="K")] = None
    connect_timeout: Annotated[float, tyro.conf.arg(metavar="SECONDS")] = 60
    recipe: tyro.conf.OmitArgPrefixes[Recipe] = field(default_factory=Recipe)


def train_on_data(name: str | None, arguments: Sequence[str]) -> None:
    """Parse the options of ``jax-rnn train NAME``, or ``jax-rnn train --resume RUN``, and train."""
    words = spell_out(arguments)
    begun = read_begun(words, name)
    task = load_task(begun.lesson if begun is not None else name or "")
    options = tyro.cli(
        Options,
        prog=f"jax-rnn train {task.name}",
        description=DESCRIPTION.format(
            name=task.name, teaches=task.teaches, presets=", ".join(("default", *task.recipes))
        ),
        args=words,
        default=_defaults(task, words, begun),
        config=(tyro.conf.HelptextFromCommentsOff,),
    )
    if (
        options.distributed
        or (options.coordinator, options.processes, options.process) != (None,) * 3
    ):
        from jax_rnn.train.cluster import join

        join(options.coordinator, options.processes, options.process, options.connect_timeout)
    _train(task, options)


def _defaults(task: Any, words: Sequence[str], begun: Begun | None) -> Options:
    """The default options: those of the preset, or of the run to resume."""
    preset = _preset(task, words)
    if begun is None:
        return Options(recipe=preset or task.recipe)
    kept = {k: begun.options.get(k) for k in ("mesh", "device", "tensorboard")}
    return replace(
        Options(recipe=preset or begun.recipe, init=begun.init, text=begun.text),
        **{name: value for name, value in kept.items() if value is not None},
    )


def _preset(task: Any, words: Sequence[str]) -> Recipe | None:
    """The hyperparameters of the preset on the command line, if any."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--preset")
    try:
        name = parser.parse_known_args(list(words))[0].preset
    except argparse.ArgumentError:
        return None
    presets = {"default": task.recipe, **task.recipes}
    if name is not None and name not in presets:
        raise ValueError(f"--preset: expected one of {', '.join(presets)}, got {name!r}")
    return presets.get(name)


def _train(task: Any, options: Options) -> None:
    import jax
    from flax import nnx

    from jax_rnn.devices import choose
    from jax_rnn.lessons.training import open_run, precision, train_task
    from jax_rnn.train.mesh import is_main, main_does, make_mesh, together

    console = Console(quiet=not is_main())
    recipe, out = options.recipe, options.out
    if out is None:
        if jax.process_count() > 1:
            raise ValueError("--out: expected a folder that all processes can write, got none")
        out = _new_folder(task.name)

    def start(model: Any, data: Any, step: int) -> None:
        count = sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))
        say(console, f"{task.name}: {task.teaches}")
        say(
            console,
            f"{count:,} parameters, {recipe.steps:,} steps of {recipe.batch_size} rows, into {out}",
        )
        if step:
            say(console, f"resuming at step {step:,} of {recipe.steps:,}")

    def record(row: dict[str, Any]) -> None:
        held_out = {k.removeprefix("held_out_"): v for k, v in row.items() if "held_out" in k}
        if held_out:
            figures = ", ".join(f"{name} {value:.4g}" for name, value in held_out.items())
            say(
                console,
                f"step {row['step']:6,}  loss {row['loss']:.4f}  held out: {figures}  "
                f"({row['tokens_per_second']:,.0f} tokens/s, {row['seconds']:.0f} s)",
            )

    def report() -> None:
        run = open_run(out)
        for line in task.report(run.model(), run.data(), out):
            say(console, line)

    placed = None
    if options.device is not None:
        choose(options.device)
        placed = jax.local_devices(backend=options.device)[0]
    with jax.default_device(placed), precision(recipe), together():
        train_task(
            task,
            recipe,
            out,
            resume=options.resume,
            text=options.text,
            init=options.init,
            mesh=make_mesh(options.mesh, options.device),
            tensorboard=options.tensorboard,
            options={
                "mesh": options.mesh,
                "device": options.device,
                "tensorboard": options.tensorboard,
            },
            on_start=start,
            on_record=record,
        )
        main_does(report)
    say(console, f"written: {out}")
    sys.stdout.flush()


def _new_folder(lesson: str) -> Path:
    """A new folder in runs/, named by lesson and time."""
    name = f"{lesson}-{datetime.now():%Y%m%d-%H%M%S}"
    names = (name if k == 1 else f"{name}-{k}" for k in range(1, 1000))
    return next(path for path in map(Path("runs").joinpath, names) if not path.exists())
