"""What a run folder says of itself: ``config.json``, and a README made from it."""

import hashlib
import reprlib
import shlex
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import jax
import msgspec
from msgspec.structs import replace

from jax_rnn.base.console import printable
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
    "made_by",
    "program",
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

PAGE = """# {title}

Made by `{command}` with {versions}.

| file | contents |
| --- | --- |
| `config.json` | configuration of the run: model, data, hyperparameters |
| `metrics.jsonl`, `metrics.csv` | loss, held-out figures and speed, by step |
| `loss.png` | the losses as a plot |
| `checkpoints/` | the last two and the best, as safetensors files with parameters and optimizer |

{use}

| hyperparameter | value |
| --- | --- |
{hyperparameters}
"""

CALLS = """In Python, with the class of the model, here `{kind}`:

    from jax_rnn.train import Run, fit, load

    model = load({name!r}, model={kind})  # the best checkpoint, in evaluation mode
    last = load({name!r}, "last", model={kind})

`jax_rnn.save_safetensors(model, "model.safetensors")` writes its weights for other programs. Resume
a stopped run, bit for bit, with the arguments that it was started with:

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
        arguments: dtype and axes of what it is called with, see ``save_stablehlo``.
    """

    class_: str = ""
    options: dict[str, Any] | None = None
    arguments: dict[str, list[Any]] | None = None


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
        text = msgspec.json.encode(config)
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(
            f"config: expected JSON-serializable values, got others: {error}"
        ) from error
    try:
        return msgspec.json.decode(text, type=RunConfig)
    except msgspec.ValidationError as error:
        raise RunError(
            f"config: expected the fields of RunConfig, with entries of your own in `own`, but: "
            f"{error}"
        ) from error


def read_config(folder: str | Path) -> RunConfig:
    """The configuration of a run, whose folder is checked first, see ``check_folder``.

    Raises:
        RunError: the folder has no run, or something else in place of a file of it.
    """
    folder = Path(folder)
    try:
        check_folder(folder, FILES, FOLDERS)
        data = (folder / CONFIG).read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise RunError(
            f"{folder}: expected the folder of a run, got none with a {CONFIG}; create one with "
            "train.Run"
        ) from error
    except FileError as error:
        raise RunError(str(error)) from error
    try:
        return msgspec.json.decode(data, type=RunConfig)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RunError(_damaged(folder / CONFIG, str(error))) from error


def seal(config: RunConfig) -> str:
    """The checksum of all entries of a configuration that must not change."""
    fixed = {k: v for k, v in config.hyperparameters.items() if k not in MAY_CHANGE}
    fixed = replace(config, hyperparameters=fixed, made={})
    return hashlib.sha256(msgspec.json.encode(fixed, order="deterministic")).hexdigest()


def check_seal(folder: Path, config: RunConfig, sealed: str, step: int) -> None:
    """Check the configuration. RunError: it changed after the checkpoint of this step."""
    if sealed != seal(config):
        raise RunError(
            _damaged(folder / CONFIG, f"it was changed after the checkpoint of step {step}")
        )


def _damaged(path: Path, reason: str) -> str:
    return (
        f"{path}: expected the configuration of a run, got a damaged file ({reason}); restore a "
        "copy. A run with the same options in another folder writes the same file"
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


def made_by(**more: Any) -> dict[str, Any]:
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
    return PAGE.format(
        title=printable(config.name or "A run"),
        command=printable(config.made.get("command") or "jax_rnn.fit"),
        versions=printable(config.made.get("versions") or "jax_rnn"),
        use="\n".join(printable(line, None) for line in use.split("\n")),
        hyperparameters="\n".join(printable(row) for row in rows),
    )
