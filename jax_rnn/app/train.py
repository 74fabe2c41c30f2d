"""``jax-rnn train``: train a lesson, in a run folder if one is given."""

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, TypeVar

import tyro
from rich.console import Console

from jax_rnn.app.common import Kind, UsageError
from jax_rnn.app.failures import for_commands
from jax_rnn.base.console import say
from jax_rnn.lecture.lessons import load
from rnn_lecture.recipe import BaseRecipe, Recipe, WordRecipe, with_steps

if TYPE_CHECKING:
    from jax_rnn.app.resuming import Begun

__all__ = ["OPTIONS", "describe", "train"]

DESCRIPTION = """Train this lesson in JAX{where}.

{teaches}

Values of --preset: {presets}.

{examples}
"""

RecipeT = TypeVar("RecipeT", bound=BaseRecipe)


@dataclass(frozen=True)
class Options(Generic[RecipeT]):
    """Options of the run.

    Attributes:
        out: Folder of the run; default: a new folder in runs/ for a lesson on a data set, none for
            a lesson on a word or a sentence.
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

    recipe: tyro.conf.OmitArgPrefixes[RecipeT]
    out: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    resume: tyro.conf.FlagCreatePairsOff[bool] = False
    preset: Annotated[str, tyro.conf.arg(metavar="NAME")] = "default"
    text: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    mesh: Annotated[str | None, tyro.conf.arg(metavar="data=N")] = None
    device: Kind = None
    init: Literal["torch", "flax"] = "torch"
    tensorboard: tyro.conf.FlagCreatePairsOff[bool] = False
    distributed: tyro.conf.FlagCreatePairsOff[bool] = False
    coordinator: Annotated[str | None, tyro.conf.arg(metavar="HOST:PORT")] = None
    processes: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    process: Annotated[int | None, tyro.conf.arg(metavar="K")] = None
    connect_timeout: Annotated[float, tyro.conf.arg(metavar="SECONDS")] = 60

    @property
    def cluster(self) -> bool:
        """Whether to connect to other processes."""
        several = (self.coordinator, self.processes, self.process) != (None, None, None)
        return self.distributed or several


OPTIONS = {f.name for kind in (Options, Recipe, WordRecipe) for f in fields(kind)} - {"recipe"}
"""Names of the options for any lesson."""


def train(arguments: Sequence[str]) -> None:
    """Train a lesson in JAX, and print the output of its slide.

    $ jax-rnn train ihello
    $ jax-rnn train ihello --preset gru --out runs/ihello
    $ jax-rnn train char_lm --out runs/mine --text my_book.txt
    $ jax-rnn train --resume runs/mine

    `jax-rnn train LESSON --help` lists the options of a lesson, `jax-rnn lessons` the lessons.
    """
    if not arguments:
        raise UsageError("expected the name of a lesson; see `jax-rnn train --help`")
    name = None if arguments[0].startswith("-") else arguments[0]
    words, begun = list(arguments[0 if name is None else 1 :]), None
    if name is None or any(word.startswith(("--out", "--resume")) for word in words):
        from jax_rnn.app.resuming import read_begun, spell_out

        words = spell_out(words)
        begun = read_begun(words, name)
    lesson = load(name or "") if begun is None else begun.lesson
    options = tyro.cli(
        Options[type(lesson.recipe)],
        prog=f"jax-rnn train {lesson.name}",
        description=describe(lesson),
        args=words,
        default=_defaults(lesson, words, begun),
        config=(tyro.conf.HelptextFromCommentsOff,),
    )
    if options.cluster:
        from jax_rnn.base.processes import join

        join(options.coordinator, options.processes, options.process, options.connect_timeout)
    _train(lesson, options)


def describe(lesson: Any) -> str:
    """The text of ``jax-rnn train LESSON --help`` above the options."""
    examples = [f"$ jax-rnn train {lesson.name}"]
    if lesson.holds_out:
        examples.append(f"$ jax-rnn train {lesson.name} --out runs/mine --hidden-size 96")
        examples.append("$ jax-rnn train --resume runs/mine")
        examples.append(f"$ jax-rnn train {lesson.name} --mesh data=8")
    elif lesson.trained:
        examples.append(f"$ jax-rnn train {lesson.name} --seed 7 --out runs/{lesson.name}")
    return DESCRIPTION.format(
        where=", in a run folder from which training can be resumed" if lesson.holds_out else "",
        teaches=lesson.teaches,
        presets=", ".join(("default", *lesson.recipes)),
        examples="\n".join(examples),
    )


def _defaults(lesson: Any, words: Sequence[str], begun: "Begun | None") -> Options[Any]:
    """The default options: those of the preset, or of the run to resume.

    The warm-up of a preset is at most as long as a new run.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for option in ("--preset", "--steps"):
        parser.add_argument(option, nargs="?")
    given = parser.parse_known_args(list(words))[0]
    if begun is None:
        recipe = lesson.preset(given.preset)
        steps = given.steps or ""
        counted = steps.isdecimal() and int(steps) > 0
        return Options(recipe=with_steps(recipe, int(steps) if counted else None))
    recipe = begun.recipe if given.preset is None else lesson.preset(given.preset)
    return Options(recipe=recipe, **begun.options)


def _train(lesson: Any, options: Options[Any]) -> None:
    import jax

    from jax_rnn.base.devices import choose, is_main
    from jax_rnn.base.processes import together
    from jax_rnn.lecture.teaching.training import precision

    console = Console(quiet=not is_main())
    placed = None
    if options.device is not None:
        choose(options.device)
        placed = jax.local_devices(backend=options.device)[0]
    with jax.default_device(placed), precision(options.recipe), together():
        if lesson.trained:
            _run(lesson, options, console)
        else:
            _show(lesson, options, console)
    sys.stdout.flush()


def _show(lesson: Any, options: Options[Any], console: Console) -> None:
    """The output of a lesson that does not train."""
    if options.out is not None:
        raise ValueError(f"--out: expected a lesson that trains, got {lesson.name}; remove it")
    model = lesson.draw(options.recipe.seed, options.recipe, init=options.init)
    for line in (*lesson.forward(model), *lesson.explain(model)):
        say(console, line)


def _run(lesson: Any, options: Options[Any], console: Console) -> None:
    """Train, and print the lesson's lines about the steps and the trained model."""
    import jax

    from jax_rnn.app.resuming import RECORDED, guide
    from jax_rnn.base.meshes import make_mesh
    from jax_rnn.base.processes import main_does
    from jax_rnn.lecture.teaching.training import train_lesson

    recipe, out = options.recipe, options.out
    if out is None and lesson.holds_out:
        if jax.process_count() > 1:
            raise ValueError("--out: expected a folder that all processes can write, got none")
        out = _new_folder(lesson.name)
    start, record = _printing(lesson, recipe, out, console)
    trained = train_lesson(
        lesson,
        recipe,
        out,
        resume=options.resume,
        text=options.text,
        init=options.init,
        mesh=make_mesh(options.mesh, options.device),
        tensorboard=options.tensorboard,
        options={name: getattr(options, name) for name in RECORDED},
        guide=None if out is None else guide(out, options.cluster),
        on_start=start,
        on_record=record,
    )

    def report() -> None:
        history = trained.history
        for line in lesson.steps(history, recipe.steps - len(history.loss) + 1):
            say(console, for_commands(line))
        for line in _report(lesson, recipe, trained, out):
            say(console, line)

    main_does(report)
    if out is not None:
        say(console, f"written: {out}")


def _report(lesson: Any, recipe: Any, trained: Any, out: Path | None) -> Iterable[str]:
    """The lesson's lines about the trained model, the best one if data is held out."""
    if lesson.holds_out and out is not None:
        return lesson.report(trained.best, trained.data, out)
    explained = getattr(recipe, "variant", "") == ""
    return lesson.report(trained.model, trained.data, Path()) if explained else ()


def _printing(lesson: Any, recipe: Any, out: Path | None, console: Console) -> tuple[Any, Any]:
    """Functions that print the start of a training, and its records."""
    import jax
    from flax import nnx

    def start(model: Any, data: Any, step: int) -> None:
        if out is None:
            return
        count = sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))
        rows = lesson.batch_size(recipe)
        say(console, f"{lesson.name}: {lesson.teaches}")
        say(console, f"{count:,} parameters, {recipe.steps:,} steps of {rows} rows, into {out}")
        if recipe.warmup == recipe.steps:
            say(console, "the learning rate rises during the whole run, see --warmup")
        if step:
            say(console, f"resuming at step {step:,} of {recipe.steps:,}")

    def record(row: dict[str, Any]) -> None:
        held_out = {k.removeprefix("held_out_"): v for k, v in row.items() if "held_out" in k}
        if held_out:
            done = f"step {row['step']:6,}  loss {row['loss']:.4f}"
            figures = ", ".join(f"{name} {value:.4g}" for name, value in held_out.items())
            speed = f"{row['tokens_per_second']:,.0f} tokens/s, {row['seconds']:.0f} s"
            say(console, f"{done}  held out: {figures}  ({speed})")

    return start, record


def _new_folder(lesson: str) -> Path:
    """A new folder in runs/, named by lesson and time."""
    name = f"{lesson}-{datetime.now():%Y%m%d-%H%M%S}"
    names = (name if k == 1 else f"{name}-{k}" for k in range(1, 1000))
    return next(path for path in map(Path("runs").joinpath, names) if not path.exists())
