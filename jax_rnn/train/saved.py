"""Load the trained model of a run folder, without running code that the folder names."""

import re
from collections.abc import Callable
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, Literal

from flax import nnx

from jax_rnn.base.progress import notice
from jax_rnn.train.checkpoints import Checkpoints
from jax_rnn.train.config import ModelConfig, RunError, check_seal, read_config
from jax_rnn.train.variables import split

__all__ = ["load"]

LESSON = re.compile(r"jax_rnn\.lecture\.lessons\.[a-z][a-z0-9_]*:[A-Za-z]\w*")
"""Classes that are imported by default: those of the lessons of this package."""


def load(
    folder: str | Path,
    checkpoint: Literal["best", "last"] = "best",
    *,
    model: type[nnx.Module] | None = None,
    trust: bool = False,
    say: Callable[[str], None] = notice,
) -> Any:
    """Load the trained model of a run, in evaluation mode.

    A folder of unknown origin runs no code: models of the lessons are imported, any other class
    must be passed as ``model``.

    Args:
        folder: folder of the run.
        checkpoint: the checkpoint with the best held-out figure, or the last one.
        model: class of the model, called with the options in ``config.json`` and ``rngs``; None
            uses the class in ``config.json``, if it is a lesson's.
        trust: import any class in ``config.json``, which runs the code of its module. Only for
            your own folders.
        say: called with a message if a damaged checkpoint is skipped.

    Raises:
        RunError: no run, no checkpoint, a class that is not trusted or not an ``nnx.Module``, a
            configuration that was changed after the checkpoint was saved.
        CheckpointError: the checkpoint does not fit the model.
    """
    if checkpoint not in ("best", "last"):
        raise ValueError(f"checkpoint: expected best or last, got {checkpoint!r}")
    config = read_config(folder)
    kept = Checkpoints(Path(folder) / "checkpoints", say=say)
    step = kept.best() if checkpoint == "best" else kept.latest()
    kept.resume_at()
    if step is None:
        raise RunError(f"{folder}: expected a checkpoint, got none; train longer")
    described = config.model or ModelConfig()
    kind = _class(described.class_, trust) if model is None else model
    if not (isinstance(kind, type) and issubclass(kind, nnx.Module)):
        raise RunError(f"model: expected a class that is an nnx.Module, got {kind!r}")
    check_seal(Path(folder), config, kept, step)
    options = described.options
    if options is None:
        raise RunError("expected the options of the model in the configuration, got none")
    params = None
    if model is None and not trust:  # sizes of unknown origin: check before anything is allocated
        names = kept.about(step).dtypes
        _check_depth(options, sum(name.startswith("params/") for name in names))
        abstract = nnx.eval_shape(lambda: nnx.state(_build(kind, options), nnx.Param))
        params = kept.restore(step, abstract, "params")
    built = _build(kind, options)
    _, like, model_state = split(built)
    if params is None:
        params = kept.restore(step, like, "params")
    nnx.update(built, params, kept.restore(step, model_state, "model_state"))
    built.eval()
    return built


def _class(name: str, trust: bool) -> Any:
    """The class of this name in a configuration."""
    if not trust and not LESSON.fullmatch(name):
        raise RunError(
            f"model: expected a lesson's, got {name!r}, whose module loading would run; pass "
            "the class, as load(folder, model=MyModel), or use trust=True for your own folders"
        )
    try:
        return resolve_name(name)
    except (ValueError, ImportError, AttributeError) as error:
        raise RunError(
            f"the model in the configuration of this run cannot be imported: {error}"
        ) from error


def _build(kind: Any, options: dict[str, Any]) -> Any:
    """A model whose weights are replaced later."""
    try:
        return kind(**options, rngs=nnx.Rngs(0))
    except (TypeError, ValueError, LookupError, ArithmeticError) as error:
        raise RunError(
            f"expected a model that takes the options in the configuration of this run: {error}"
        ) from error


def _check_depth(options: dict[str, Any], arrays: int) -> None:
    """Check the number of layers. RunError: more layers than arrays in the checkpoint."""
    layers = options.get("num_layers", 1)
    if not isinstance(layers, int) or layers > arrays:
        raise RunError(
            f"num_layers: expected at most the {arrays} arrays of the checkpoint, got {layers!r}; "
            "restore a copy of config.json"
        )
