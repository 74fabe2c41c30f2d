"""The user's cache folder: what is there can be made again, at the price of time."""

import os
import warnings
from pathlib import Path

__all__ = ["cache_folder", "compiled_folder", "keep_compiled"]

FOLDER = "JAX_COMPILATION_CACHE_DIR"
SWITCH = "JAX_ENABLE_COMPILATION_CACHE"
SHORTEST = "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"


def cache_folder() -> Path:
    """The user's cache folder of this library; need not exist."""
    import platformdirs

    return platformdirs.user_cache_path("jax_rnn")


def compiled_folder() -> str | None:
    """Where commands keep compiled programs, a path or a URL; None where they keep none.

    JAX's own variables are respected: one names another folder, one switches the cache off.
    """
    if os.environ.get(SWITCH, "true").lower() in ("0", "false", "f", "no", "n", "off"):
        return None
    return os.environ.get(FOLDER, str(cache_folder() / "compiled")) or None


def keep_compiled(keep: bool = True) -> None:
    """Have this process find the programs that an earlier one compiled, and keep its own.

    For commands, which own their process, and to be called before JAX is imported: that is when
    it reads its settings. Programs quick to compile are kept too; a lesson has several of them.

    Args:
        keep: otherwise the cache is off.

    Raises:
        OSError: the folder cannot be written; the cache is off.
    """
    folder = compiled_folder() if keep else None
    if folder is not None and "://" not in folder:
        try:
            _check_writable(Path(folder))
        except OSError:
            os.environ[SWITCH] = "false"
            raise
    if folder is None:
        os.environ[SWITCH] = "false"
    else:
        os.environ[FOLDER] = folder
        os.environ.setdefault(SHORTEST, "0")
        warnings.filterwarnings("ignore", ".*persistent compilation cache entry")  # a full disk


def _check_writable(folder: Path) -> None:
    """OSError: no file could be made in the folder, which need not be there."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir():
        raise NotADirectoryError(f"{there} is a file")
    if not os.access(there, os.W_OK | os.X_OK):
        raise PermissionError(f"{there} cannot be written")
