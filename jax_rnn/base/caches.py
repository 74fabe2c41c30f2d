"""Caches of compiled programs: a folder, which can be deleted at any time, and in this process."""

import os
import warnings
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from jax_rnn.base.storage import cache_folder

__all__ = ["cached", "compiled_folder", "keep_compiled"]

FOLDER = "JAX_COMPILATION_CACHE_DIR"
SWITCH = "JAX_ENABLE_COMPILATION_CACHE"
SHORTEST = "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"

KEPT = 32
"""Number of results that are kept: those of at least eight trainings. One needs four (weights,
optimizer, functions, program), and so does a sweep (optimizer, builder, its size, program). Each
holds its loss, and the objects that the loss closes over."""

ResultT = TypeVar("ResultT")


def compiled_folder() -> str | None:
    """The path or URL of the compilation cache of the commands; None if it is disabled.

    JAX's environment variables are respected: one sets another folder, one disables the cache.
    """
    if os.environ.get(SWITCH, "true").lower() in ("0", "false", "f", "no", "n", "off"):
        return None
    return os.environ.get(FOLDER, str(cache_folder() / "compiled")) or None


def keep_compiled(keep: bool = True) -> None:
    """Enable JAX's persistent compilation cache for this process.

    This is for commands, and must be called before JAX is imported, since JAX reads its settings on
    import. Programs that compile quickly are cached too; a training has several of them.

    Args:
        keep: whether to enable the cache; otherwise it is disabled.

    Raises:
        OSError: the folder cannot be written; the cache is disabled.
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
    """Check that files can be created in the folder, which may not exist. OSError otherwise."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not existing.is_dir():
        raise NotADirectoryError(f"{existing} is a file")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise PermissionError(f"{existing} cannot be written")


def cached(make: Callable[..., ResultT], *arguments: Any) -> ResultT:
    """``make(*arguments)``, or the result of an earlier call with equal arguments.

    Arguments without a hash, for example a loss that is an object with its own equality, are equal
    to no others.
    """
    try:
        hash(arguments)
    except TypeError:
        return make(*arguments)
    return _cached(make, *arguments)


@lru_cache(maxsize=KEPT)
def _cached(make: Callable[..., ResultT], *arguments: Any) -> ResultT:
    return make(*arguments)
