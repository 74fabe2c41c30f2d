"""Files in folders of unknown origin: one check of what is there, and safe writing.

``check_folder`` is called once, when a folder is opened; after it files are read as usual. A file
is written under a new name, opened exclusively, and renamed, so it is complete or absent, and no
symbolic link is followed.
"""

import os
import secrets
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

__all__ = [
    "PARTIAL",
    "FileError",
    "cache_folder",
    "check_folder",
    "is_regular",
    "replacing",
    "write_text",
]

PARTIAL = ".partial"
"""Suffix of a file that is not yet complete."""

NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
BINARY = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


class FileError(OSError):
    """A file is refused: a symbolic link, a device, or a file that is too large."""


def cache_folder() -> Path:
    """The user's cache folder of these programs; it may not exist."""
    import platformdirs

    return platformdirs.user_cache_path("jax_rnn")


def is_regular(path: Path) -> bool:
    """Whether ``path`` is a regular file, and not a link to one."""
    return stat.S_ISREG(path.lstat().st_mode)


def check_folder(folder: Path, files: Mapping[str, int], folders: tuple[str, ...] = ()) -> None:
    """Check what a folder holds under known names; each may be absent.

    Args:
        folder: path of the folder.
        files: names of regular files, with their largest size in bytes.
        folders: names of folders.

    Raises:
        FileError: a symbolic link, another kind of file, or a file that is too large.
    """
    for name in (*files, *folders):
        path, wanted = folder / name, "folder" if name in folders else "regular file"
        try:
            found = path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        if stat.S_ISLNK(found.st_mode):
            raise FileError(f"{path}: expected a {wanted}, got a symbolic link; remove the link")
        if not (stat.S_ISDIR if name in folders else stat.S_ISREG)(found.st_mode):
            raise FileError(f"{path}: expected a {wanted}, got something else; remove it")
        if name in files and found.st_size > files[name]:
            raise FileError(
                f"{path}: expected at most {files[name]:,} bytes, got {found.st_size:,}; restore "
                "the original file"
            )


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A new file, open for writing, which replaces ``path`` at the end.

    It has a temporary name in the same folder until it is on the disk, and is removed on an error,
    so ``path`` has either the old or the new contents. Permissions follow the umask.

    Raises:
        OSError: the file cannot be written, e.g. since ``path`` is a folder.
    """
    partial = path.with_name(f".{path.name[:40]}.{secrets.token_hex(4)}{PARTIAL}")
    descriptor = os.open(partial, NEW | BINARY, 0o666)
    try:
        with open(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise
    with suppress(OSError):  # not supported by some file systems
        _sync(path.parent)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` in UTF-8 to ``path``, see ``replacing``."""
    with replacing(path) as file:
        file.write(text.encode("utf-8", "backslashreplace"))


def _sync(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
