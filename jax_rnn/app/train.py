"""``jax-rnn train``: train a lesson, in a run folder if one is given, or resume a run."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from inspect import signature
from pathlib import Path
from typing import Annotated, Any, Literal

from rich.console import Console

from jax_rnn.app.common import File, Kind, LessonName, Preset
from jax_rnn.app.failures import UsageError
from jax_rnn.app.options import More
from jax_rnn.base.console import say
from jax_rnn.base.errors import ArgumentError
from jax_rnn.lecture.lessons import load
from rnn_lecture.recipe import with_steps

__all__ = ["train"]

Init = Literal["torch", "flax"]

KEPT = ("mesh", "device", "tensorboard")
"""Options that a run keeps besides its configuration."""

FORWARD_ONLY = {"lesson", "init", "device", "dtype", "seed"}
"""Options of a lesson that does not train."""


def train(
    lesson: LessonName = "",
    *,
    out: Annotated[Path | None, "FOLDER"] = None,
    resume: Annotated[bool | Path, "RUN"] = False,
    preset: Preset = None,
    text: File = None,
    mesh: Annotated[str | None, "data=N"] = None,
    device: Kind = None,
    init: Init | None = None,
    tensorboard: bool = False,
    distributed: bool = False,
    coordinator: Annotated[str | None, "HOST:PORT"] = None,
    processes: int | None = None,
    process: Annotated[int | None, "K"] = None,
    connect_timeout: Annotated[float, "SECONDS"] = 60.0,
) -> More:
    """Train a lesson in JAX, and print the output of its slide.

    $ jax-rnn train ihello
    $ jax-rnn train ihello --preset gru --out runs/ihello
    $ jax-rnn train char_lm --out runs/mine --text my_book.txt
    $ jax-rnn train --resume runs/mine

    LESSON must be the first argument. `jax-rnn train LESSON --help` describes the options and the
    hyperparameters of a lesson, and `jax-rnn lessons` lists the lessons.

    Args:
        lesson: Name of a lesson; not needed with --resume RUN.
        out: Folder of the run; by default a new folder in runs/ for a lesson on a data set, and
            none for a lesson on a word or a sentence.
        resume: Resume this run, or the one in --out; options that are not given keep the values of
            the run.
        preset: Name of a set of hyperparameters; options for single hyperparameters override it.
        text: UTF-8 text file to train on.
        mesh: Number of devices to shard every batch over, for example data=8.
        device: Device to run on; by default the best one that JAX finds.
        init: Distribution of the initial weights: that of torch.nn (the default) or that of Flax.
        tensorboard: Also write events for TensorBoard.
        distributed: Connect to the other processes of a cluster that JAX detects (TPU, Slurm).
        coordinator: Address of process 0, if JAX cannot detect the cluster.
        processes: Number of processes, with --coordinator.
        process: Index of this process, from 0, with --coordinator.
        connect_timeout: Seconds to wait for the other processes.
    """
    if out is not None and isinstance(resume, Path):
        raise UsageError("expected one run folder, got two; use --resume RUN or --out RUN --resume")
    if resume is True and out is None:
        raise ArgumentError("resume", "expected the folder of a run, got none; use --resume RUN")
    if not lesson and not resume:
        raise UsageError("expected the name of a lesson, got none; `jax-rnn lessons` lists them")
    folder, begun = out if isinstance(resume, bool) else resume, None
    if folder is not None and resume:
        from jax_rnn.app.folder import read_begun

        begun = read_begun(folder, lesson)
    task = begun.lesson if begun else load(lesson)
    recipe = begun.recipe if begun and preset is None else task.preset(preset)
    settings = {"text": text, "init": init, "mesh": mesh, "device": device}
    settings |= {"tensorboard": tensorboard or None}
    settings = {name: value for name, value in settings.items() if value is not None}
    addresses = coordinator, processes, process
    several = distributed or addresses != (None, None, None)

    def begin(changes: dict[str, Any]) -> None:
        # the warm-up of a preset is at most as long as a new run
        start = recipe if begun else with_steps(recipe, changes.get("steps"))
        options = begun.options | settings if begun else settings
        training = Training(
            lesson=task,
            recipe=replace(start, **changes),
            out=folder,
            resume=bool(resume),
            several=several,
            mesh_given=mesh is not None or begun is None,
            **options,
        )
        if several:
            _train_together(training, *addresses, connect_timeout)
        else:
            _train(training)

    return More(begin, recipe, describe(task), _absent(task))


@dataclass(frozen=True)
class Training:
    """What to train, and how; ``mesh_given``: the mesh is on the command line."""

    lesson: Any
    recipe: Any
    out: Path | None
    resume: bool
    several: bool
    mesh_given: bool
    text: Path | None = None
    init: Init = "torch"
    mesh: str | None = None
    device: Kind = None
    tensorboard: bool = False


def describe(lesson: Any) -> str:
    """The text of ``jax-rnn train LESSON --help`` above the options."""
    name = lesson.name
    examples = [f"$ jax-rnn train {name}"]
    if lesson.holds_out:
        examples.append(f"$ jax-rnn train {name} --out runs/mine --hidden-size 96")
        examples.append("$ jax-rnn train --resume runs/mine")
        examples.append(f"$ jax-rnn train {name} --mesh data=8")
    elif lesson.trained:
        examples.append(f"$ jax-rnn train {name} --seed 7 --out runs/{name}")
    purpose = "Train this lesson in JAX" if lesson.trained else "Show this lesson's outputs in JAX"
    purpose += ", in a run folder from which training can be resumed." if lesson.holds_out else "."
    presets = f"Values of --preset: {', '.join(('default', *lesson.recipes))}."
    parts = [purpose, lesson.teaches, presets, "\n".join(examples)]
    return "\n\n".join(part for part in parts if part is not presets or lesson.recipes)


def _absent(lesson: Any) -> frozenset[str]:
    """Options that have no meaning for a lesson."""
    names = {field.name for field in fields(lesson.recipe)}
    absent = set() if lesson.takes_text else {"text"}
    if not lesson.recipes:
        absent |= {"preset", "variant"}
    if not lesson.trained:
        absent |= ({*signature(train).parameters} | names) - FORWARD_ONLY
    return frozenset(absent)


def _train_together(training: Training, *connection: Any) -> None:
    """Train with the other processes; they end together, also when they are interrupted."""
    import jax

    from jax_rnn.base.processes import join
    from jax_rnn.train.results import InterruptedRunError

    join(*connection)
    try:
        _train(training)
    except InterruptedRunError:
        jax.distributed.shutdown()
        raise


def _train(training: Training) -> None:
    import jax

    from jax_rnn.base.devices import choose, is_main
    from jax_rnn.base.processes import together
    from jax_rnn.lecture.teaching.training import precision

    console, placed = Console(quiet=not is_main()), None
    if training.device is not None:
        choose(training.device)
        placed = jax.local_devices(backend=training.device)[0]
    with jax.default_device(placed), precision(training.recipe), together():
        if training.lesson.trained:
            _run(training, console)
        else:
            _show(training, console)
    sys.stdout.flush()


def _show(training: Training, console: Console) -> None:
    """The output of a lesson that does not train."""
    lesson, recipe = training.lesson, training.recipe
    if training.out is not None:
        raise ArgumentError(
            "out", f"expected a lesson that trains, got {lesson.name}; remove --out"
        )
    model = lesson.initialize(recipe.seed, recipe, init=training.init)
    for line in (*lesson.forward(model), *lesson.explain(model)):
        say(console, line)


def _run(training: Training, console: Console) -> None:
    """Train, and print the lesson's lines about the steps and the trained model."""
    import jax

    from jax_rnn.app.folder import guide_to, new_folder
    from jax_rnn.base.processes import main_does
    from jax_rnn.lecture.teaching.training import train_lesson

    lesson, recipe, out = training.lesson, training.recipe, training.out
    if out is None and lesson.holds_out:
        if jax.process_count() > 1:
            raise ArgumentError(
                "out", "expected a folder that all processes can write, got none; use --out FOLDER"
            )
        out = new_folder(lesson.name)
    guide = None if out is None else guide_to(out, several=training.several)
    start, figures = _printing(lesson, recipe, out, console)
    trained = train_lesson(
        lesson,
        recipe,
        out,
        resume=training.resume,
        text=training.text,
        init=training.init,
        mesh=_mesh(training),
        tensorboard=training.tensorboard,
        options={name: getattr(training, name) for name in KEPT},
        guide=guide,
        on_start=start,
        on_record=figures,
    )

    def report() -> None:
        history = trained.history
        for line in lesson.steps(history, recipe.steps - len(history.loss) + 1):
            say(console, line)
        for line in _report(lesson, recipe, trained, out):
            say(console, line)

    main_does(report)
    if out is not None:
        say(console, f"written: {out}")


def _mesh(training: Training) -> Any:
    """The devices. UsageError: a run to resume has more than there are."""
    from jax_rnn.base.meshes import make_mesh

    try:
        return make_mesh(training.mesh, training.device)
    except ValueError as error:
        if training.mesh_given:
            raise
        raise UsageError(
            f"{training.out}: expected the devices that the run was started with, --mesh "
            f"{training.mesh}, got fewer; use a machine that has them, or another --mesh"
        ) from error


def _report(lesson: Any, recipe: Any, trained: Any, out: Path | None) -> Iterable[str]:
    """The lesson's lines about the trained model, the best one if data is held out."""
    if lesson.holds_out and out is not None:
        return lesson.report(trained.best, trained.data, out)
    explained = getattr(recipe, "variant", "") == ""
    return lesson.report(trained.model, trained.data, Path()) if explained else ()


def _printing(lesson: Any, recipe: Any, out: Path | None, console: Console) -> tuple[Any, Any]:
    """Functions that print the start of a training, and the figures of its evaluations."""
    import jax
    from flax import nnx

    def start(model: Any, data: Any, step: int) -> None:
        if out is None:
            return
        count = sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))
        steps = f"{recipe.steps:,} step{'s' * (recipe.steps > 1)}"
        steps += f" with a batch size of {lesson.batch_size(recipe)}"
        say(console, f"{lesson.name}: {lesson.teaches}")
        say(console, f"{count:,} parameters, {steps}, folder {out}")
        if recipe.warmup == recipe.steps:
            say(console, "the learning rate rises during the whole run; see --warmup")
        if step:
            say(console, f"resuming at step {step:,} of {recipe.steps:,}")

    def figures(row: dict[str, Any]) -> None:
        held_out = {k.removeprefix("held_out_"): v for k, v in row.items() if "held_out" in k}
        if held_out:
            done = f"step {row['step']:6,}  loss {row['loss']:.4f}"
            values = ", ".join(f"{name} {value:.4g}" for name, value in held_out.items())
            speed = f"{row['tokens_per_second']:,.0f} tokens/s, {row['seconds']:.0f} s"
            say(console, f"{done}  held out: {values}  ({speed})")

    return start, figures
