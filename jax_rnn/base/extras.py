"""Optional dependencies, and the commands that install them."""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

__all__ = ["EXTRAS", "check_installed", "how_to_install", "optional"]

ROOT = Path(__file__).parents[2]

EXTRAS = {
    "torch": "torch",
    "matplotlib": "plot",
    "jinja2": "plot",
    "tensorboardX": "tensorboard",
    "equinox": "equinox",
    "sklearn": "probes",
}
"""Package -> the extra in pyproject.toml that installs it."""


def how_to_install(extra: str) -> str:
    """The command that installs an extra, from the checkout that this package is imported from.

    Args:
        extra: name of an extra in pyproject.toml, e.g. ``plot``.
    """
    if (ROOT / "pyproject.toml").is_file():
        return f'pip install "{ROOT}[{extra}]"'
    return f'pip install "jax-rnn[{extra}]"'


def optional(module: str) -> Any:
    """Import a module of an optional dependency.

    Args:
        module: name of the module, e.g. ``matplotlib.figure``.

    Raises:
        ModuleNotFoundError: its package is not installed; the message states how to install it.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise _missing(module.partition(".")[0]) from error


def check_installed(package: str) -> None:
    """Check an optional dependency without importing it. ModuleNotFoundError: as ``optional``."""
    if find_spec(package) is None:
        raise _missing(package)


def _missing(package: str) -> ModuleNotFoundError:
    return ModuleNotFoundError(
        f"expected {package} to be installed, but it is not; use {how_to_install(EXTRAS[package])}",
        name=package,
    )
