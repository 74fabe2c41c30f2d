"""``config.json``, the configuration of a run, read from a folder of unknown origin."""

import hashlib
import json
import reprlib
import shlex
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import jax

from jax_rnn.train.checkpoints import Checkpoints
from rnn_lecture.storage import FileError, read_json

__all__ = ["CONFIG", "MAY_CHANGE", "RunError", "check_seal", "made_by", "read_config", "seal"]

CONFIG = "config.json"
MOST = 1 << 26
"""Maximum bytes of the configuration."""
MAY_CHANGE = ("steps", "patience", "evaluate_every")
"""Hyperparameters that may change when a run is resumed."""


class RunError(ValueError):
    """A folder has no run, another run, or a run that does not fit; the message states the fix."""


def read_config(folder: str | Path) -> dict[str, Any]:
    """The configuration of a run.

    Raises:
        RunError: the folder has no run, or its configuration cannot be read.
    """
    path = Path(folder) / CONFIG
    try:
        config = read_json(path, MOST)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise RunError(
            f"{folder}: expected the folder of a run, got none with a {CONFIG}; "
            "create one with `jax-rnn train LESSON --out FOLDER`"
        ) from error
    except FileError as error:
        raise RunError(str(error)) from error
    except ValueError as error:
        raise RunError(_damaged(path, str(error))) from error
    for name, kind in (("recipe", dict), ("made", dict), ("lesson", str)):
        if not isinstance(config.get(name, kind()), kind):
            raise RunError(_damaged(path, f"{name} is {reprlib.repr(config[name])}"))
    return config


def seal(config: Mapping[str, Any]) -> str:
    """The checksum of all entries of a configuration that must not change."""
    fixed = {name: value for name, value in config.items() if name != "made"}
    recipe = fixed.get("recipe", {})
    fixed["recipe"] = {name: value for name, value in recipe.items() if name not in MAY_CHANGE}
    return hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest()


def check_seal(
    folder: Path, config: Mapping[str, Any], checkpoints: Checkpoints, step: int
) -> None:
    """Check the configuration. RunError: it changed after the checkpoint of this step."""
    if checkpoints.notes(step).get("config", seal(config)) != seal(config):
        raise RunError(
            _damaged(folder / CONFIG, f"it was changed after the checkpoint of step {step}")
        )


def _damaged(path: Path, reason: str) -> str:
    return (
        f"{path}: expected the configuration of a run, got a damaged file ({reason}); restore a "
        "copy. A run with the same options in another folder writes the same file"
    )


def made_by() -> dict[str, Any]:
    """The command line and the versions, for ``config["made"]``."""
    packages = ("jax-rnn", "jax", "flax", "optax", "safetensors")
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in packages)
    program = Path(sys.argv[0]).name
    words = ["python", "-m", "jax_rnn"] if program == "__main__.py" else [program]
    command = shlex.join([*words, *sys.argv[1:]])
    return {"command": command, "versions": versions, "device": jax.devices()[0].device_kind}
