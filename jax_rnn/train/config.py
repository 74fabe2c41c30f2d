"""``config.json``, the configuration of a run, read from a folder of unknown origin."""

import hashlib
import json
import reprlib
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar, cast

import jax

from jax_rnn.base.storage import FileError, read_json
from jax_rnn.train.checkpoints import Checkpoints

__all__ = [
    "CONFIG",
    "MAY_CHANGE",
    "Made",
    "ModelConfig",
    "RunConfig",
    "RunError",
    "as_config",
    "check_seal",
    "made_by",
    "program",
    "read_config",
    "seal",
]

CONFIG = "config.json"
MOST = 1 << 26
"""Maximum bytes of the configuration."""
MAY_CHANGE = ("steps", "patience", "evaluate_every")
"""Hyperparameters that may change when a run is resumed."""


class RunError(ValueError):
    """A folder has no run, another run, or a run that does not fit; the message states the fix."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """A JSON object whose entries are fields, without those that have their default.

    Attributes:
        more: all other entries, among them those that state a default.
    """

    more: dict = field(default_factory=dict)

    def json(self) -> dict[str, Any]:
        """The entries by their names in JSON, those of the fields without a final underscore."""
        default, own = type(self)(), {}
        for name in (entry.name for entry in fields(self) if entry.name != "more"):
            value = getattr(self, name)
            if value != getattr(default, name):
                own[name.rstrip("_")] = value.json() if isinstance(value, Part) else value
        return own | self.more


@dataclass(frozen=True, kw_only=True)
class ModelConfig(Part):
    """The model of a run.

    Attributes:
        class_: its class, as ``"module:Name"``.
        options: the arguments with which ``load`` builds it.
        arguments: dtype and axes of what it is called with, see ``save_stablehlo``.
    """

    class_: str = ""
    options: dict | None = None
    arguments: dict | None = None


@dataclass(frozen=True, kw_only=True)
class Made(Part):
    """How a run was started, which does not affect its result.

    Attributes:
        command: the command line.
        versions: versions of the packages.
        device: kind of the device.
        text: path of the text; None for the data of the lesson, empty if it is not stated.
        options: options of the run besides its configuration.
    """

    command: str = ""
    versions: str = ""
    device: str = ""
    text: str | None = ""
    options: dict | None = None


@dataclass(frozen=True, kw_only=True)
class RunConfig(Part):
    """The configuration of a run; every entry may be absent.

    Attributes:
        lesson: name of the lesson, or of what is trained.
        recipe: hyperparameters by name.
        init: initial distribution of the weights.
        model: the class of the model and its options, from which ``load`` builds it.
        vocabulary: the symbols and other facts of the data that the model needs.
        text_sha256: checksum of the text; None for other data, empty if it is not stated.
        made: how the run was started.
        more: entries of your own.
    """

    lesson: str = ""
    recipe: dict = field(default_factory=dict)
    init: Any = None
    model: ModelConfig | None = None
    vocabulary: Any = None
    text_sha256: str | None = ""
    made: Made = field(default_factory=Made)


PARTS: dict[str, type[Part]] = {"model": ModelConfig, "made": Made}
PartT = TypeVar("PartT", bound=Part)


def as_config(config: Mapping[str, Any] | RunConfig) -> RunConfig:
    """A configuration in the form in which JSON returns it.

    Raises:
        RunError: an entry of another type than the field of ``RunConfig``.
        TypeError: values that JSON cannot hold.
    """
    try:
        entries = json.loads(json.dumps(config.json() if isinstance(config, Part) else config))
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(
            f"config: expected JSON-serializable values, got others: {error}"
        ) from error
    try:
        return _read(RunConfig, entries)
    except ValueError as error:
        raise RunError(f"config: expected the types of RunConfig, but {error}") from error


def read_config(folder: str | Path) -> RunConfig:
    """The configuration of a run.

    Raises:
        RunError: the folder has no run, or its configuration cannot be read.
    """
    path = Path(folder) / CONFIG
    try:
        return _read(RunConfig, read_json(path, MOST))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise RunError(
            f"{folder}: expected the folder of a run, got none with a {CONFIG}; "
            "create one with `train.Run`"
        ) from error
    except FileError as error:
        raise RunError(str(error)) from error
    except ValueError as error:
        raise RunError(_damaged(path, str(error))) from error


def _read(kind: type[PartT], entries: Mapping[str, Any], prefix: str = "") -> PartT:
    """The object with these entries of JSON. ValueError: an entry of another type."""
    more, own, default = dict(entries), {}, kind()
    for entry in fields(kind):
        name = entry.name.rstrip("_")
        if name not in more or name == "more":
            continue
        value, expected = more[name], entry.type
        if isinstance(value, dict) and name in PARTS:
            value = _read(PARTS[name], value, f"{name}.")
        if expected is not Any and not isinstance(value, cast(Any, expected)):
            raise ValueError(f"{prefix}{name} is {reprlib.repr(value)}")
        if value != getattr(default, entry.name):
            own[entry.name] = value
            del more[name]
    return kind(**own, more=more)


def seal(config: RunConfig) -> str:
    """The checksum of all entries of a configuration that must not change."""
    fixed = {name: value for name, value in config.json().items() if name != "made"}
    fixed["recipe"] = {k: value for k, value in config.recipe.items() if k not in MAY_CHANGE}
    return hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest()


def check_seal(folder: Path, config: RunConfig, checkpoints: Checkpoints, step: int) -> None:
    """Check the configuration. RunError: it changed after the checkpoint of this step."""
    if checkpoints.about(step).notes.get("config", seal(config)) != seal(config):
        raise RunError(
            _damaged(folder / CONFIG, f"it was changed after the checkpoint of step {step}")
        )


def _damaged(path: Path, reason: str) -> str:
    return (
        f"{path}: expected the configuration of a run, got a damaged file ({reason}); restore a "
        "copy. A run with the same options in another folder writes the same file"
    )


def made_by(text: Path | None = None, options: Mapping[str, Any] | None = None) -> Made:
    """This process, as the start of a run."""
    packages = ("jax-rnn", "jax", "flax", "optax", "safetensors")
    return Made(
        command=shlex.join([*program(), *sys.argv[1:]]),
        versions=", ".join(f"{name} {metadata.version(name)}" for name in packages),
        device=jax.devices()[0].device_kind,
        text=None if text is None else str(text.absolute()),
        options=dict(options or {}),
    )


def program() -> list[str]:
    """The words with which this program is started."""
    name = Path(sys.argv[0]).name
    return ["python", "-m", "jax_rnn"] if name == "__main__.py" else [name]
