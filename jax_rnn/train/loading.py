"""Load the trained model of a run folder, without running code that the folder names."""

from collections.abc import Callable
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, Literal

from flax import nnx

from jax_rnn.base.errors import ArgumentError
from jax_rnn.base.progress import notice
from jax_rnn.train.checkpoints import Checkpoints
from jax_rnn.train.config import ModelConfig, RunError, check_seal, read_config
from jax_rnn.train.step import split

__all__ = ["load", "restored"]


def load(
    folder: str | Path,
    checkpoint: Literal["best", "last"] = "best",
    *,
    model: type[nnx.Module] | None = None,
    trust: bool = False,
    say: Callable[[str], None] = notice,
) -> Any:
    """Load the trained model of a run, in evaluation mode.

    A folder of unknown origin runs no code: the class of the model is passed as ``model``.

    Args:
        folder: folder of the run.
        checkpoint: the checkpoint with the best held-out figure, or the last one.
        model: class of the model, called with the options in ``config.json`` and ``rngs``.
        trust: import the class that ``config.json`` names, which runs the code of its module, and
            build it with any options. Only for your own folders.
        say: called with a message if a damaged checkpoint is skipped.

    Raises:
        RunError: no run, no checkpoint, no class or one that is not an ``nnx.Module``, a
            configuration that was changed after the checkpoint was saved.
        CheckpointError: the checkpoint does not fit the model.
    """
    if checkpoint not in ("best", "last"):
        raise ArgumentError("checkpoint", f"expected best or last, got {checkpoint!r}")
    config = read_config(folder)
    described = config.model or ModelConfig()
    kept = Checkpoints(Path(folder) / "checkpoints", say=say)
    if not kept.resume_at():
        raise RunError(f"{folder}: expected a checkpoint, got none; train longer")
    step: Any = kept.best() if checkpoint == "best" else kept.latest()
    kind = _class(described.class_, trust) if model is None else model
    if not (isinstance(kind, type) and issubclass(kind, nnx.Module)):
        raise RunError(f"model: expected a subclass of nnx.Module, got {kind!r}")
    about = kept.about(step)
    check_seal(folder, config, about)
    options = described.options
    if options is None:
        raise RunError(
            f"{folder}: expected the options of the model in config.json, got none; pass them to "
            'Run, as config={"model": {"class": ..., "options": {...}}}'
        )
    if not trust:  # sizes of unknown origin: check before anything is allocated
        layers, arrays = options.get("num_layers", 1), len(about.dtypes)
        if not isinstance(layers, int) or layers > arrays:
            expected = f"at most {arrays}, the number of arrays in the checkpoint"
            raise RunError(f"num_layers: expected {expected}, got {layers!r}; restore config.json")
        abstract = nnx.eval_shape(lambda: nnx.state(_build(kind, options), nnx.Param))
        kept.restore(step, abstract, "params")
    return restored(_build(kind, options), kept, step)


def restored(model: nnx.Module, kept: Checkpoints, step: int) -> nnx.Module:
    """The model in evaluation mode, with the variables of a checkpoint.

    Raises:
        CheckpointError: the checkpoint does not fit the model.
    """
    _, params, model_state = split(model)
    params = kept.restore(step, params, "params")
    nnx.update(model, params, kept.restore(step, model_state, "model_state"))
    model.eval()
    return model


def _class(name: str, trust: bool) -> Any:
    """The class of this name in a configuration."""
    if not trust:
        raise RunError(
            f"model: expected the class of the model, since importing {name!r} would run the code "
            "of its module; pass it, as load(folder, model=MyModel), or use trust=True for your "
            "own folders"
        )
    try:
        return resolve_name(name)
    except (ValueError, ImportError, AttributeError) as error:
        raise RunError(
            f"model: expected a class that can be imported, got {name!r} ({error}); pass it, as "
            "load(folder, model=MyModel)"
        ) from error


def _build(kind: Any, options: dict[str, Any]) -> Any:
    """A model whose weights are replaced later."""
    try:
        return kind(**options, rngs=nnx.Rngs(0))
    except (TypeError, ValueError, LookupError, ArithmeticError) as error:
        raise RunError(
            f"model: expected a class that accepts the options in config.json, got {kind!r} "
            f"({type(error).__name__}: {error}); pass the class of this run, or restore config.json"
        ) from error
