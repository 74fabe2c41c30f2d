"""Optional dependencies, and the commands that install them."""

from importlib import import_module
from pathlib import Path
from typing import Any

__all__ = ["EXTRAS", "how_to_install", "optional"]

ROOT = Path(__file__).parents[1]

EXTRAS = {"torch": "torch", "matplotlib": "plot", "jinja2": "plot", "tensorboardX": "tensorboard"}
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
    package = module.partition(".")[0]
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"expected {package} to be installed, but it is not: {how_to_install(EXTRAS[package])}",
            name=package,
        ) from error
