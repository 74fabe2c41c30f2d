"""A lesson on real data from its recipe to a run folder, and back."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from inspect import Parameter, signature
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jax.sharding import Mesh

from jax_rnn.initializers import Init
from jax_rnn.lessons import load_task
from jax_rnn.lessons.recipe import Recipe
from jax_rnn.lessons.task import Task
from jax_rnn.train.config import RunError, made_by, read_config
from jax_rnn.train.history import History
from jax_rnn.train.loop import fit
from jax_rnn.train.run import Run
from jax_rnn.train.saved import load

__all__ = ["OpenRun", "open_run", "precision", "train_task"]


@contextmanager
def precision(recipe: Recipe) -> Iterator[None]:
    """JAX's default float is float64 inside if the recipe asks for it."""
    with jax.enable_x64(recipe.precision == "float64"):
        yield


def train_task(
    task: Task[Any],
    recipe: Recipe,
    out: str | Path | None = None,
    *,
    resume: bool = False,
    text: Path | None = None,
    init: Init = "torch",
    mesh: Mesh | None = None,
    tensorboard: bool = False,
    on_start: Callable[[Any, Any], None] = lambda model, data: None,
    on_record: Callable[[dict[str, Any]], None] = lambda record: None,
) -> tuple[Any, History]:
    """Train a fresh model of ``task``, or go on with the run in ``out``; use inside ``precision``.

    Args:
        task, recipe: what to train, and how.
        out: the run folder; None keeps nothing.
        resume: go on with the run that is in the folder.
        text: to learn from, where the task takes one.
        init: initial distribution of the weights.
        mesh: devices to spread every batch over.
        tensorboard: whether to write events for TensorBoard.
        on_start: is given the model and the data before the first step.
        on_record: is given every record, see ``fit``.

    Returns:
        The model after the last step, and the history.

    Raises:
        ValueError: a text for a task that has data of its own; and what ``fit`` and ``Run`` raise.
    """
    if text is not None and not task.takes_text:
        raise ValueError(f"--text: {task.name} has data of its own; leave it out")
    if resume and out is None:
        raise ValueError("--resume: expected --out to say which run to go on with")
    data = task.read(recipe, text)
    model = task.build(recipe, data.vocabulary, init=init, rngs=nnx.Rngs(recipe.seed))
    batches = task.batches(recipe, data)
    config = {
        "lesson": task.name,
        "recipe": asdict(recipe),
        "init": init if isinstance(init, str) else init.name,
        "model": {
            "class": f"{task.model.__module__}:{task.model.__qualname__}",
            "options": task.options(recipe, data.vocabulary),
            "arguments": _arguments(model, batches(0, slice(0, 1))),
        },
        "vocabulary": data.vocabulary,
        "text_sha256": getattr(data, "sha256", None),
        "made": made_by() | {"text": str(text.absolute()) if text else None},
    }
    run = None if out is None else Run(out, config, resume=resume, tensorboard=tensorboard)
    with nullcontext() if run is None else run:
        on_start(model, data)
        history = fit(
            model,
            task.loss,
            batches,
            steps=recipe.steps,
            optimizer=recipe.optimizer(),
            carry=task.carry(model, recipe.batch_size),
            seed=recipe.seed if recipe.dropout else None,
            accumulate=recipe.accumulate,
            compute_dtype=jnp.bfloat16 if recipe.precision == "bfloat16" else None,
            mesh=mesh,
            evaluate=lambda model: task.evaluate(model, data),
            evaluate_every=min(recipe.evaluate_every, recipe.steps),
            patience=recipe.patience,
            run=run,
            on_record=on_record,
            description=task.name,
        )
    return model, history


@dataclass(frozen=True)
class OpenRun:
    """A finished or stopped run, ready to be used.

    Attributes:
        folder: where it is.
        task, recipe: what was trained, and how.
        vocabulary: what the model knows of its data.
        text: the file it learnt from, None for data of the task's own.
        sha256: of that file.
        arguments: dtype and number of axes of all that the model has to be called with.
    """

    folder: Path
    task: Task[Any]
    recipe: Recipe
    vocabulary: Mapping[str, Any]
    text: Path | None
    sha256: str | None
    arguments: Mapping[str, tuple[str, int]]

    def model(self, checkpoint: Literal["best", "last"] = "best") -> Any:
        """The trained model in evaluation mode; use inside ``precision``."""
        return load(self.folder, checkpoint)

    def data(self, text: Path | None = None) -> Any:
        """The data of the run, or another text with the same vocabulary.

        Raises:
            ValueError: the file is not the one that the run learnt from.
        """
        data = self.task.read(self.recipe, text or self.text)
        if text is None and self.sha256 not in (None, getattr(data, "sha256", None)):
            raise ValueError(
                f"{self.text}: expected the text that the run learnt from, but it has changed; "
                "name a text with --text"
            )
        return data


def open_run(folder: str | Path) -> OpenRun:
    """A run of a lesson, by its folder.

    Raises:
        RunError: no run, or one that is not of a lesson of this version.
    """
    config = read_config(folder)
    try:
        text = config["made"]["text"]
        return OpenRun(
            folder=Path(folder),
            task=load_task(config["lesson"]),
            recipe=Recipe(**config["recipe"]),
            vocabulary=config["vocabulary"],
            text=Path(text) if text else None,
            sha256=config["text_sha256"],
            arguments={name: tuple(a) for name, a in config["model"]["arguments"].items()},
        )
    except (KeyError, TypeError, LookupError) as error:
        raise RunError(f"{folder}: expected a run of a lesson, got another ({error})") from error


def _arguments(model: Any, batch: Mapping[str, Any]) -> dict[str, tuple[str, int]]:
    """Dtype and axes of the arrays of a batch that the model's call asks for by name."""
    needed = signature(model.__call__).parameters.values()
    names = [parameter.name for parameter in needed if parameter.default is Parameter.empty]
    return {name: (str(batch[name].dtype), batch[name].ndim) for name in names}
