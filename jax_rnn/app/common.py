"""What several commands share: kinds of options, output files, the console."""

import os
from pathlib import Path
from typing import Annotated, Literal

from rich.console import Console

from jax_rnn.base.console import say
from jax_rnn.base.errors import ArgumentError
from jax_rnn.base.extras import check_installed

__all__ = [
    "Dtype",
    "File",
    "Kind",
    "LessonName",
    "Preset",
    "check_output_folder",
    "check_outputs",
    "check_run",
    "check_seed",
    "console",
    "say_written",
]

LessonName = Annotated[str, "LESSON"]
Preset = Annotated[str | None, "NAME"]
File = Path | None
Kind = Literal["cpu", "gpu", "tpu"] | None
Dtype = Literal["float32", "float64"]

NEEDED = {"plot": ("matplotlib",), "html": ("matplotlib", "jinja2")}
"""Output -> packages that write it."""

console = Console()


def check_seed(seed: int) -> None:
    if not 0 <= seed < 2**32:
        raise ArgumentError("seed", f"expected 0 to {2**32 - 1}, got {seed}")


def check_outputs(**paths: Path | None) -> None:
    """Check the files of options before the work, so that no result is lost.

    Raises:
        ArgumentError: a file that cannot be written, or a figure of an unknown format.
        ModuleNotFoundError: a package that writes it is not installed.
    """
    from jax_rnn.base.figures import check_figure_suffix

    for option, path in paths.items():
        if path is None:
            continue
        check_output(option, path)
        if option == "plot":
            check_figure_suffix(path)
        for package in NEEDED.get(option, ()):
            check_installed(package)


def check_output(option: str, path: Path) -> None:
    """Check that a regular file can be written. ArgumentError: it cannot."""
    folder = path.parent
    if path.is_dir():
        reason = f"expected a file, got the folder {str(path)!r}; add a name"
    elif path.is_symlink() or (path.exists() and not path.is_file()):
        reason = f"expected a regular file, got the link, pipe or device {str(path)!r}"
    elif not folder.is_dir():
        reason = f"expected a file in an existing folder, got {str(path)!r}"
        reason += f"; create the folder {str(folder)!r} first"
    elif not os.access(folder, os.W_OK):
        reason = f"expected a writable folder, got {str(folder)!r}"
    else:
        return
    raise ArgumentError(option, reason)


def check_output_folder(option: str, folder: Path) -> None:
    """Check that a folder can be created or written. ArgumentError: it cannot."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise ArgumentError(option, f"expected a folder, got the file or link {str(folder)!r}")
    above = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise ArgumentError(option, f"expected a writable folder, got {str(above)!r}")


def say_written(*paths: Path | None) -> None:
    for path in paths:
        if path:
            say(console, f"written: {path}")


def check_run(argument: str, folder: Path) -> None:
    """Check that a folder has a run. ArgumentError: it has none."""
    if not (folder / "config.json").exists():
        raise ArgumentError(
            argument,
            f"expected the folder of a run, got {str(folder)!r}, which has no config.json; "
            "create a run with `jax-rnn train LESSON --out FOLDER`",
        )
