"""Commands that install the optional dependencies."""

from pathlib import Path

__all__ = ["how_to_install"]

ROOT = Path(__file__).parents[1]


def how_to_install(extra: str) -> str:
    """The command that installs an extra, from the checkout that this package is imported from.

    Args:
        extra: name of an extra in pyproject.toml, e.g. ``plot``.
    """
    if (ROOT / "pyproject.toml").is_file():
        return f'pip install "{ROOT}[{extra}]"'
    return f'pip install "jax-rnn[{extra}]"'
