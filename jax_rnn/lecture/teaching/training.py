"""Train a lesson, in a run folder if one is given, and open runs."""

import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from importlib import metadata
from inspect import Parameter, signature
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import msgspec
import numpy as np
from flax import nnx
from jax.sharding import Mesh

from jax_rnn.base.devices import is_main
from jax_rnn.base.errors import ArgumentError
from jax_rnn.base.initializers import Init
from jax_rnn.base.memory import check_memory
from jax_rnn.base.processes import main_does
from jax_rnn.data.batches import as_batches
from jax_rnn.data.dataset import Data
from jax_rnn.lecture.teaching.lesson import Lesson
from jax_rnn.train.config import Guide, ModelConfig, RunConfig, RunError, read_config
from jax_rnn.train.loading import load
from jax_rnn.train.mesh import Layout
from jax_rnn.train.results import History
from jax_rnn.train.run import Run
from rnn_lecture.lessons import find
from rnn_lecture.recipe import BaseRecipe

__all__ = ["OpenRun", "Trained", "lesson_of", "open_run", "precision", "program", "train_lesson"]

SMALL = 512
"""Numbers of layers and features below which the memory is not estimated."""


def precision(recipe: BaseRecipe) -> AbstractContextManager[Any]:
    """Context in which JAX's default float is float64 if the recipe asks for it."""
    return jax.enable_x64(recipe.dtype == "float64")


class Trained(NamedTuple):
    """The result of ``train_lesson``.

    Attributes:
        model: the model after the last step.
        best: with held-out data and a run folder, the model of the best checkpoint, else ``model``.
        history: the losses and metrics of the steps.
        data: the data that it was trained on.
    """

    model: Any
    best: Any
    history: History
    data: Data


def train_lesson(
    lesson: Lesson,
    recipe: Any,
    out: str | Path | None = None,
    *,
    resume: bool = False,
    text: Path | None = None,
    init: Init = "torch",
    mesh: Mesh | None = None,
    tensorboard: bool = False,
    options: Mapping[str, Any] | None = None,
    guide: Guide | None = None,
    on_start: Callable[[Any, Any, int], None] = lambda model, data, step: None,
    on_record: Callable[[dict[str, Any]], None] = lambda record: None,
) -> Trained:
    """Train a new model of ``lesson``, or resume the run in ``out``; use inside ``precision``.

    Everything is checked before the run folder is created.

    Args:
        lesson: the lesson.
        recipe: its hyperparameters.
        out: the run folder; None (default) keeps nothing.
        resume: whether to resume the run in the folder. Default False.
        text: UTF-8 file to train on, if the lesson accepts one; None (default) uses its own data.
        init: initial distribution of the weights. Default ``"torch"``.
        mesh: devices to shard every batch over; None (default) uses one device.
        tensorboard: whether to write events for TensorBoard. Default False.
        options: options that do not affect the result, which the run keeps.
        guide: how the run is used, see ``Run``.
        on_start: called before the first step with the model, the data and the completed steps.
        on_record: called with the figures after every call of the program, see ``fit``.

    Raises:
        ValueError: a text for a lesson with its own data; a model that does not fit into memory;
            and the errors of ``fit`` and ``Run``.
    """
    lesson.check_text(text)
    if resume and out is None:
        raise ArgumentError("resume", "expected the folder of a run, got none; pass out=")
    Layout(mesh).check(lesson.batch_size(recipe))
    data = lesson.read(recipe, text)
    _check_size(lesson, recipe, data)
    model = lesson.initialize(recipe.seed, recipe, data.vocabulary, init=init)
    batches = as_batches(lesson.batches(recipe, data))
    run = None
    if out is not None:
        made = _made_by(text=None if text is None else str(text.absolute()), options=options or {})
        config = RunConfig(
            name=lesson.name,
            hyperparameters=asdict(recipe),
            model=_described(lesson, recipe, data.vocabulary),
            own={
                "init": init if isinstance(init, str) else init.name,
                "vocabulary": data.vocabulary,
                "text_sha256": data.sha256,
                "arguments": _arguments(model, batches),
            },
            made=made,
        )
        run = Run(out, config, resume=resume, tensorboard=tensorboard, guide=guide)
    with run or nullcontext():
        on_start(model, data, 0 if run is None else main_does(lambda: run.resume_at()[0]))
        history = lesson.fit(
            model,
            recipe,
            data,
            batches=batches,
            mesh=mesh,
            evaluate=(lambda model: lesson.evaluate(model, data)) if lesson.holds_out else None,
            evaluate_every=min(recipe.evaluate_every or recipe.steps, recipe.steps),
            patience=recipe.patience,
            run=run,
            on_record=on_record,
        )
        evaluated = lesson.holds_out and is_main()
        best = run.best(model) if run is not None and evaluated else model
    return Trained(model, best, history, data)


def _check_size(lesson: Lesson, recipe: Any, data: Any) -> None:
    """Check that a large model fits into memory, before it is built."""
    sizes = (getattr(recipe, name, 0) for name in ("hidden_size", "embedding_size", "num_layers"))
    if max(sizes) > SMALL:
        check_memory(lambda: lesson.build(recipe, data.vocabulary, rngs=nnx.Rngs(0)))


def _described(lesson: Lesson, recipe: Any, vocabulary: Mapping[str, Any]) -> ModelConfig:
    """The model of a lesson, as a run folder describes it."""
    kind, options = lesson.architecture(recipe, vocabulary)
    return ModelConfig(
        class_=f"{kind.__module__}:{kind.__qualname__}",
        options=msgspec.json.decode(msgspec.json.encode(options)),
    )


@dataclass(frozen=True)
class OpenRun:
    """A finished or stopped run.

    Attributes:
        folder: path of the run.
        lesson: the lesson.
        recipe: its hyperparameters.
        vocabulary: the symbols and other facts of the data that the model needs.
        text: the file it was trained on; None for the lesson's own data.
        sha256: checksum of that file.
        arguments: dtype and axes of the arguments of the model, see ``save_stablehlo``.
    """

    folder: Path
    lesson: Lesson
    recipe: Any
    vocabulary: Mapping[str, Any]
    text: Path | None
    sha256: str | None
    arguments: Mapping[str, Any]

    def model(self, checkpoint: Literal["best", "last"] = "best") -> Any:
        """The trained model in evaluation mode; use inside ``precision``."""
        kind, _ = self.lesson.architecture(self.recipe, self.vocabulary)
        return load(self.folder, checkpoint, model=kind)

    def data(self, text: Path | None = None) -> Any:
        """The data of the run, or another text encoded with the same vocabulary.

        Raises:
            ValueError: the file has changed since training.
        """
        self.lesson.check_text(text)
        data = self.lesson.read(self.recipe, text or self.text)
        if text is None and self.sha256 not in (None, data.sha256):
            raise ArgumentError(
                "text",
                f"expected the text that the run was trained on, but {self.text} has changed; "
                "restore it, or use another text",
            )
        return data


def open_run(folder: str | Path) -> OpenRun:
    """Open the run of a lesson in a folder.

    Raises:
        RunError: not a run, or not a run of a lesson of this version.
    """
    config = read_config(folder)
    described = config.model or ModelConfig()
    with whose_lesson(folder):
        lesson, recipe, text = lesson_of(config)
        vocabulary = config.own["vocabulary"]
        _check_vocabulary(vocabulary)
        opened = OpenRun(
            folder=Path(folder),
            lesson=lesson,
            recipe=recipe,
            vocabulary=vocabulary,
            text=text,
            sha256=config.own.get("text_sha256"),
            arguments={name: tuple(a) for name, a in config.own["arguments"].items()},
        )
        expected = _described(lesson, recipe, vocabulary)
    if (described.class_, described.options) != (expected.class_, expected.options):
        same = described.class_ == expected.class_
        found = "other options of it" if same else repr(described.class_)
        raise RunError(
            f"{folder}: expected the model of the lesson {lesson.name}, {expected.class_}, got "
            f"{found}; restore config.json"
        )
    return opened


def lesson_of(config: RunConfig) -> tuple[Lesson, Any, Path | None]:
    """The lesson of a run, its recipe and its text; use inside ``whose_lesson``."""
    text = config.made["text"]
    if not isinstance(text, str | None):
        raise TypeError(f"made.text is {text!r}")
    lesson = find("jax_rnn.lecture.lessons", config.name)
    recipe = type(lesson.recipe)(**config.hyperparameters)
    return lesson, recipe, None if text is None else Path(text)


@contextmanager
def whose_lesson(folder: str | Path) -> Iterator[None]:
    """Context in which any error of the configuration is that the run is not one of a lesson.

    Raises:
        RunError: instead of those errors.
    """
    try:
        yield
    except (AttributeError, TypeError, ValueError, LookupError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise RunError(
            f"{folder}: expected a run of a lesson, got another config.json ({reason}). The "
            "README.md of a run of your own model says how to use it in Python"
        ) from error


def _check_vocabulary(vocabulary: Any) -> None:
    """Check the entries. TypeError: one that is not a text, a number or a list of texts."""
    for name, value in dict(vocabulary).items():
        texts = isinstance(value, list) and all(isinstance(entry, str) for entry in value)
        if not (texts or isinstance(value, str | int)):
            raise TypeError(f"vocabulary: {name} is a {type(value).__name__}")


def _arguments(model: Any, batches: Any) -> dict[str, list[str | int]]:
    """Dtype and number of axes of the arrays of a batch that are arguments of the model.

    For an array of features also their number.
    """
    batch = batches(0, slice(0, 1))
    needed = signature(model.__call__).parameters.values()
    names = [parameter.name for parameter in needed if parameter.default is Parameter.empty]
    found = {}
    for name in names:
        array = batch[name]
        features = array.shape[-1:] if np.issubdtype(array.dtype, np.floating) else ()
        found[name] = [str(array.dtype), array.ndim, *features]
    return found


def _made_by(**more: Any) -> dict[str, Any]:
    """This process as the start of a run: command, versions and device, and ``more`` entries."""
    packages = ("jax-rnn", "jax", "flax", "optax", "safetensors")
    return {
        "command": shlex.join([*program(), *sys.argv[1:]]),
        "versions": ", ".join(f"{name} {metadata.version(name)}" for name in packages),
        "device": jax.devices()[0].device_kind,
        **more,
    }


def program() -> list[str]:
    """The words with which this program is started."""
    name = Path(sys.argv[0]).name
    return ["python", "-m", "jax_rnn"] if name == "__main__.py" else [name]
