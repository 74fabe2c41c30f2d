"""What a run folder says of itself: ``config.json``, and a README made from it."""

import hashlib
import reprlib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from jax_rnn.base.console import printable
from jax_rnn.base.sealed import About
from jax_rnn.base.storage import FileError, check_folder

__all__ = [
    "CONFIG",
    "MAY_CHANGE",
    "Guide",
    "ModelConfig",
    "RunConfig",
    "RunError",
    "as_config",
    "check_seal",
    "differences",
    "explain",
    "find_config",
    "python_guide",
    "read_config",
    "seal",
]

CONFIG = "config.json"
MAY_CHANGE = ("steps", "patience", "evaluate_every")
"""Hyperparameters that may change when a run is resumed."""

FILES = {
    CONFIG: 1 << 26,
    "README.md": 1 << 26,
    "metrics.jsonl": 1 << 30,
    "metrics.csv": 1 << 30,
    "loss.png": 1 << 26,
    ".lock": 1 << 20,
}
"""Files of a run folder, and their largest size in bytes."""
FOLDERS = ("checkpoints", "tensorboard")

CALLS = """In Python, with the class of the model:

    model = jax_rnn.train.load({name!r}, model={kind})  # the best checkpoint

To resume the run after it was stopped, pass the arguments that it was started with (the result is
that of an uninterrupted run, bit for bit):

    with Run({name!r}, config, resume=True) as run:
        fit(model, loss, data, ..., run=run)"""


class RunError(ValueError):
    """A folder has no run, another run, or a run that does not fit; the message states the fix."""


class ModelConfig(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    rename={"class_": "class"},
):
    """The model of a run.

    Attributes:
        class_: its class, as ``"module:Name"``.
        options: the arguments with which ``load`` builds it.
    """

    class_: str = ""
    options: dict[str, Any] | None = None


class RunConfig(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """The configuration of a run; every entry may be absent.

    Attributes:
        name: of what is trained, the title of the run's README.
        hyperparameters: by name; ``MAY_CHANGE`` lists those that a resumed run may change.
        model: the class of the model and its options, from which ``load`` builds it.
        own: entries of your own, which must be the same when the run is resumed.
        made: how the run was started, which does not affect its result.
    """

    name: str = ""
    hyperparameters: dict[str, Any] = {}
    model: ModelConfig | None = None
    own: dict[str, Any] = {}
    made: dict[str, Any] = {}


def as_config(config: Mapping[str, Any] | RunConfig) -> RunConfig:
    """A configuration in the form in which JSON returns it.

    Raises:
        RunError: an entry that ``RunConfig`` does not have, or of another type.
        TypeError: values that JSON cannot hold.
    """
    try:
        return msgspec.json.decode(msgspec.json.encode(config), type=RunConfig)
    except msgspec.ValidationError as error:
        raise RunError(
            f"config: expected the fields of RunConfig, got others ({error}); put entries of your "
            "own into `own`"
        ) from error
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(
            f"config: expected JSON-serializable values, got others ({error})"
        ) from error


def find_config(folder: Path) -> RunConfig | None:
    """The configuration of a run, whose files are checked first; None if there is none.

    Raises:
        RunError: a damaged configuration, or something else in place of a file of the run.
    """
    try:
        check_folder(folder, FILES, FOLDERS)
        return msgspec.json.decode((folder / CONFIG).read_bytes(), type=RunConfig)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except FileError as error:
        raise RunError(str(error)) from error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RunError(_damaged(folder, str(error))) from error


def read_config(folder: str | Path) -> RunConfig:
    """The configuration of a run. RunError: there is none, and as for ``find_config``."""
    found = find_config(Path(folder))
    if found is None:
        raise RunError(
            f"{folder}: expected the folder of a run, got one without {CONFIG}; create a run with "
            "jax_rnn.train.Run"
        )
    return found


def seal(config: RunConfig) -> str:
    """The checksum of all entries of a configuration that must not change."""
    fixed = {k: v for k, v in config.hyperparameters.items() if k not in MAY_CHANGE}
    fixed = replace(config, hyperparameters=fixed, made={})
    return hashlib.sha256(msgspec.json.encode(fixed, order="deterministic")).hexdigest()


def check_seal(folder: str | Path, config: RunConfig, about: About) -> None:
    """Check the configuration. RunError: it changed after this checkpoint was written."""
    if about.notes.get("config", seal(config)) != seal(config):
        reason = f"it was changed after the checkpoint of step {about.step}"
        raise RunError(_damaged(folder, reason))


def _damaged(folder: str | Path, reason: str) -> str:
    return (
        f"{Path(folder) / CONFIG}: expected the configuration of a run, got a damaged file "
        f"({reason}); restore a copy"
    )


def differences(before: RunConfig, now: RunConfig) -> list[str]:
    """Entries that differ: the name alone, else hyperparameters, else all others."""
    old, new = msgspec.to_builtins(before), msgspec.to_builtins(now)
    own = before.own | {"model": old.get("model")}, now.own | {"model": new.get("model")}
    for one, other in (
        ({"name": before.name}, {"name": now.name}),
        (before.hyperparameters, now.hyperparameters),
        own,
    ):
        faults = [
            f"{k}: {reprlib.repr(one.get(k))} in the run, {reprlib.repr(other.get(k))} now"
            for k in sorted({*one, *other} - {*MAY_CHANGE})
            if one.get(k) != other.get(k)
        ]
        if faults:
            return faults
    return []


class Guide(NamedTuple):
    """How a run is used.

    Attributes:
        use: Markdown, how to use its model and how to resume it.
        resume: what resumes it, in one line.
    """

    use: str
    resume: str


def python_guide(folder: Path, config: RunConfig) -> Guide:
    """How to use a run from Python."""
    kind = (config.model or ModelConfig()).class_.rpartition(":")[2].rpartition(".")[2]
    return Guide(
        CALLS.format(name=str(folder), kind=kind if kind.isidentifier() else "MyModel"),
        f"fit with Run({str(folder)!r}, ..., resume=True)",
    )


def explain(config: RunConfig, use: str) -> str:
    """The README of the run of this configuration, with ``Guide.use``."""
    rows = [f"| {name} | {value} |" for name, value in config.hyperparameters.items()]
    page = files("jax_rnn.train").joinpath("run_readme.txt").read_text("utf-8")
    return page.format(
        title=printable(config.name or "A run"),
        command=printable(config.made.get("command") or "jax_rnn.fit"),
        versions=printable(config.made.get("versions") or "jax_rnn"),
        use="\n".join(printable(line, None) for line in use.split("\n")),
        hyperparameters="\n".join(printable(row) for row in rows),
    )
