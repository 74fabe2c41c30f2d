"""Safe reading and writing of files in folders of unknown origin.

Only regular files are read, up to a stated size. A file is written under a new name, opened
exclusively, and renamed, so it is complete or absent. Symbolic links are refused in both cases.
"""

import json
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import IO, Any

__all__ = [
    "PARTIAL",
    "FileError",
    "cache_folder",
    "open_regular",
    "read_json",
    "read_regular",
    "refuse_link",
    "replacing",
    "sync_folder",
    "write_text",
]

PARTIAL = ".partial"
"""Suffix of a file that is not yet complete."""

DEEPEST = 50
"""Maximum levels of nesting; Python raises a RecursionError at about 1,000."""

READ = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
BINARY = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


class FileError(OSError):
    """A file is refused: a symbolic link, a device, or a file that is too large."""


def cache_folder() -> Path:
    """The user's cache folder of these programs; it may not exist."""
    import platformdirs

    return platformdirs.user_cache_path("jax_rnn")


def refuse_link(path: Path) -> None:
    """FileError: ``path`` is a symbolic link."""
    if path.is_symlink():
        raise FileError(
            f"{path}: expected a regular file or folder, got a symbolic link; remove the link"
        )


@contextmanager
def open_regular(path: Path, most: int | None = None) -> Iterator[BufferedReader]:
    """A regular file, open for reading.

    Args:
        path: path of the file.
        most: the largest accepted size in bytes; None accepts any.

    Raises:
        FileNotFoundError: no such file.
        FileError: a symbolic link, folder, pipe or device, or a file larger than ``most``.
    """
    refuse_link(path)
    if not stat.S_ISREG(os.stat(path, follow_symlinks=False).st_mode):
        raise FileError(f"{path}: expected a regular file, got a folder, pipe or device; remove it")
    with open(os.open(path, READ | BINARY), "rb") as file:  # the file may have been replaced
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise FileError(f"{path}: expected a regular file, got a pipe or device; remove it")
        if most is not None and found.st_size > most:
            raise FileError(
                f"{path}: expected at most {most:,} bytes, got {found.st_size:,}; "
                "restore the original file"
            )
        yield file


def _depth(tree: Any) -> int:
    """The nesting depth of lists and objects in JSON."""
    deepest, nodes = 0, [(tree, 1)]
    while nodes:
        node, depth = nodes.pop()
        deepest = max(deepest, depth)
        if isinstance(node, dict | list):
            inside = node.values() if isinstance(node, dict) else node
            nodes += [(child, depth + 1) for child in inside if isinstance(child, dict | list)]
    return deepest


def read_regular(path: Path, most: int) -> bytes:
    """The bytes of a regular file of at most this size; raises the errors of ``open_regular``."""
    with open_regular(path, most) as file:
        return file.read(most + 1)[:most]


def read_json(path: Path, most: int) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        FileNotFoundError, FileError: as ``open_regular``.
        ValueError: not UTF-8, not JSON, nested too deeply, or not an object.
    """
    try:
        found = json.loads(read_regular(path, most).decode("utf-8"))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if _depth(found) > DEEPEST:
        raise ValueError("it is nested too deeply")
    if not isinstance(found, dict):
        raise ValueError(f"expected an object, got {type(found).__name__}")
    return found


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A new file, open for writing, which replaces ``path`` at the end.

    It has a temporary name in the same folder until it is on the disk, and is removed on an error,
    so ``path`` has either the old or the new contents. Permissions follow the umask.

    Raises:
        FileError: ``path`` is a symbolic link or a folder.
        OSError: the file cannot be written.
    """
    refuse_link(path)
    if path.is_dir():
        raise FileError(f"{path}: expected the name of a file, got a folder; specify a file in it")
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
        sync_folder(path.parent)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` in UTF-8 to ``path``, see ``replacing``."""
    with replacing(path) as file:
        file.write(text.encode("utf-8", "backslashreplace"))


def sync_folder(path: Path) -> None:
    """Wait until the names in a folder, or the bytes of a file, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
