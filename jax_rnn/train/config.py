"""``config.json``: everything a run was made of, read from a folder of unknown origin."""

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

from jax_rnn.storage import FileError, read_json
from jax_rnn.train.checkpoints import Checkpoints

__all__ = ["CONFIG", "MAY_CHANGE", "RunError", "check_seal", "made_by", "read_config", "seal"]

CONFIG = "config.json"
MOST = 1 << 26
"""Bytes of the configuration, at most."""
MAY_CHANGE = ("steps", "patience", "evaluate_every")
"""Hyperparameters that a run may go on with another value of."""


class RunError(ValueError):
    """A folder without a run, with another run, or with one that does not fit; says what to do."""


def read_config(folder: str | Path) -> dict[str, Any]:
    """What a run was made of.

    Raises:
        RunError: there is no run in the folder, or its configuration cannot be read.
    """
    path = Path(folder) / CONFIG
    try:
        config = read_json(path, MOST)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise RunError(
            f"{folder}: expected the folder of a run, got none with a {CONFIG}; "
            "`jax-rnn train LESSON --out FOLDER` makes one"
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
    """The checksum of all in a configuration that must not change while the run lives."""
    fixed = {name: value for name, value in config.items() if name != "made"}
    recipe = fixed.get("recipe", {})
    fixed["recipe"] = {name: value for name, value in recipe.items() if name not in MAY_CHANGE}
    return hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest()


def check_seal(
    folder: Path, config: Mapping[str, Any], checkpoints: Checkpoints, step: int
) -> None:
    """RunError: the configuration is not the one that the checkpoint of that step was made with."""
    if checkpoints.notes(step).get("config", seal(config)) != seal(config):
        raise RunError(
            _damaged(folder / CONFIG, f"it was changed after the checkpoint of step {step}")
        )


def _damaged(path: Path, reason: str) -> str:
    return (
        f"{path}: expected the configuration of a run, got a damaged file ({reason}); put back a "
        "copy. A run with the same options in another folder writes the same file"
    )


def made_by() -> dict[str, Any]:
    """The command line and the versions, for ``config["made"]``."""
    packages = ("jax-rnn", "jax", "flax", "optax", "orbax-checkpoint")
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in packages)
    program = Path(sys.argv[0]).name
    words = ["python", "-m", "jax_rnn"] if program == "__main__.py" else [program]
    command = shlex.join([*words, *sys.argv[1:]])
    return {"command": command, "versions": versions, "device": jax.devices()[0].device_kind}
