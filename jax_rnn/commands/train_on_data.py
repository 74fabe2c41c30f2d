"""``jax-rnn train`` for a lesson on real data."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from rich.console import Console

from jax_rnn.lessons import load_task
from jax_rnn.lessons.recipe import Recipe

__all__ = ["train_on_data"]

LOST_AFTER = 30
"""Seconds without a sign of a process after which the others end too."""

DESCRIPTION = """Train this lesson in JAX, into a run folder that loses nothing.

{teaches}

$ jax-rnn train {name}
$ jax-rnn train {name} --out runs/mine --hidden-size 96 --steps 2000
$ jax-rnn train {name} --out runs/mine --hidden-size 96 --steps 2000 --resume
$ jax-rnn train {name} --mesh data=8
"""


@dataclass(frozen=True)
class Options:
    """Where and how to run.

    Attributes:
        out: Folder of the run; a new one under runs/ by default.
        resume: Go on with the run in --out, which was stopped; give the same options as before.
        preset: Hyperparameters to start from; the ones below change them.
        text: A UTF-8 text to learn from (char_lm).
        mesh: Devices to spread every batch over, as data=8.
        device: Where to run; the best kind there is by default.
        init: Initial distribution, that of torch.nn or that of Flax.
        tensorboard: Write events for TensorBoard too.
        distributed: Join the other processes of a cluster that JAX knows how to find (TPU, Slurm).
        coordinator: Address host:port of process 0, where the cluster has to be told.
        processes: How many there are, with --coordinator.
        process: Which of them this is, from 0, with --coordinator.
    """

    out: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    resume: tyro.conf.FlagCreatePairsOff[bool] = False
    preset: str = "default"
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
    recipe: tyro.conf.OmitArgPrefixes[Recipe] = field(default_factory=Recipe)


def train_on_data(name: str, arguments: Sequence[str]) -> None:
    """Parse the options of ``jax-rnn train NAME`` and train."""
    task = load_task(name)
    options = tyro.cli(
        Options,
        prog=f"jax-rnn train {name}",
        description=DESCRIPTION.format(name=name, teaches=task.teaches),
        args=list(arguments),
        default=Options(recipe=_preset(task, arguments)),
        config=(tyro.conf.HelptextFromCommentsOff,),
    )
    _join(options)
    _train(task, options)


def _preset(task: Any, arguments: Sequence[str]) -> Recipe:
    """The hyperparameters that stand as defaults in the help."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--preset", default="default")
    name = parser.parse_known_args(list(arguments))[0].preset
    presets = {"default": task.recipe, **task.recipes}
    if name not in presets:
        raise ValueError(f"--preset: {task.name} has {', '.join(presets)}, got {name!r}")
    return presets[name]


def _join(options: Options) -> None:
    """Become one of several processes, before JAX looks for devices."""
    told = (options.coordinator, options.processes, options.process)
    if any(value is not None for value in told) and None in told:
        raise ValueError("expected --coordinator, --processes and --process together")
    if options.distributed or options.coordinator:
        import jax

        jax.distributed.initialize(
            *told, heartbeat_timeout_seconds=LOST_AFTER, shutdown_timeout_seconds=LOST_AFTER
        )


def _train(task: Any, options: Options) -> None:
    import jax
    from flax import nnx

    from jax_rnn.devices import choose
    from jax_rnn.lessons.training import open_run, precision, train_task
    from jax_rnn.train.mesh import is_main, main_does, make_mesh, together

    console = Console(quiet=not is_main())
    recipe, out = options.recipe, options.out
    if out is None and not options.resume:
        if jax.process_count() > 1:
            raise ValueError("--out: expected a folder that all processes see")
        out = Path("runs", f"{task.name}-{datetime.now():%Y%m%d-%H%M%S}")

    def start(model: Any, data: Any) -> None:
        count = sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))
        console.print(f"[bold]{task.name}[/]: {task.teaches}", highlight=False)
        console.print(
            f"{count:,} parameters, {recipe.steps:,} steps of {recipe.batch_size} rows, into {out}",
            highlight=False,
            soft_wrap=True,
        )

    def record(row: dict[str, Any]) -> None:
        held_out = {k.removeprefix("held_out_"): v for k, v in row.items() if "held_out" in k}
        if held_out:
            figures = ", ".join(f"{name} {value:.4g}" for name, value in held_out.items())
            console.print(
                f"step {row['step']:6,}  loss {row['loss']:.4f}  held out: {figures}  "
                f"({row['tokens_per_second']:,.0f} tokens/s, {row['seconds']:.0f} s)",
                highlight=False,
                soft_wrap=True,
            )

    def report() -> None:
        if out is not None:
            run = open_run(out)
            for line in task.report(run.model(), run.data(), out):
                console.print(line, highlight=False, markup=False, soft_wrap=True)

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
            on_start=start,
            on_record=record,
        )
        main_does(report)
    console.print(f"written: {out}", highlight=False, markup=False, soft_wrap=True)
    sys.stdout.flush()
