"""Check the output files of a command before the work, so that no result is lost."""

from pathlib import Path

from jax_rnn.base.extras import check_installed
from jax_rnn.lecture.compare.figures import check_figure_suffix

__all__ = ["check_outputs"]

NEEDED = {"--plot": ("matplotlib",), "--html": ("matplotlib", "jinja2")}


def check_outputs(paths: dict[str, Path | None]) -> None:
    """Check that the files of all options can be written.

    Raises:
        ValueError: a folder that does not exist, a folder instead of a file, or an unknown format
            of a figure.
        ModuleNotFoundError: a package that is needed to write the file is not installed.
    """
    for option, path in paths.items():
        if path is None:
            continue
        if path.is_dir():
            raise ValueError(f"{option}: expected a file, got the folder {path}; add a name")
        if not path.parent.is_dir():
            raise ValueError(
                f"{option}: expected a file in a folder that exists, got {path}; "
                f"create the folder {path.parent} first"
            )
        if option == "--plot":
            check_figure_suffix(path)
        for package in NEEDED.get(option, ()):
            check_installed(package)
