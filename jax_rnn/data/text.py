"""A text of any length as ids on disk, and its windows as batches."""

import codecs
import hashlib
import io
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jax_rnn.base.storage import cache_folder, is_regular, replacing
from jax_rnn.data.dataset import Data
from jax_rnn.data.vocabulary import Vocabulary, code_points

__all__ = ["Text", "TextBatches", "read_text"]

CHUNK = 1 << 20
"""Number of bytes per read."""
DIGEST = hashlib.sha256().digest_size


@dataclass(frozen=True, eq=False, kw_only=True)
class Text(Data):
    """A text as ids, split into ``train`` (N,) and the rest of it, ``held_out`` (M,).

    The ids are uint8, uint16 or uint32 by the size of the vocabulary, and memory-mapped.
    ``vocabulary`` is ``{"symbols": ...}``, each symbol once, sorted; ``sha256`` is that of the text
    in UTF-8, without a byte order mark.

    Attributes:
        path: the file that was read.
    """

    path: Path


class Summary(NamedTuple):
    symbols: str
    characters: int
    sha256: str


def pieces(path: Path) -> Iterator[tuple[bytes, str]]:
    """Read a UTF-8 file in pieces, as bytes and as characters; line ends are not changed."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        mark = file.read(len(codecs.BOM_UTF8))
        read = len(mark)
        data = b"" if mark == codecs.BOM_UTF8 else mark
        while True:
            more = file.read(CHUNK)
            read += len(more)
            data += more
            pending = len(decoder.getstate()[0])
            try:
                characters = decoder.decode(data, final=not more)
            except UnicodeDecodeError as error:
                offset = read - len(data) - pending + error.start
                raise ValueError(
                    f"{path}: expected UTF-8, got byte 0x{error.object[error.start]:02x} at byte "
                    f"offset {offset} ({error.reason}); save the file as UTF-8, or convert it: "
                    "iconv -f latin1 -t utf-8 OLD > NEW"
                ) from error
            yield data, characters
            if not more:
                return
            data = b""


def summarize(path: Path) -> Summary:
    seen = np.zeros(0x110000, bool)
    digest = hashlib.sha256()
    characters = 0
    for data, text in pieces(path):
        digest.update(data)
        codes = code_points(text)
        seen[codes] = True
        characters += len(codes)
    symbols = "".join(map(chr, np.flatnonzero(seen)))
    return Summary(symbols, characters, digest.hexdigest())


def id_type(size: int) -> np.dtype:
    """The smallest of uint8, uint16 and uint32 that can hold ids below ``size``."""
    return np.dtype(next(t for t in ("u1", "<u2", "<u4") if size <= 1 << 8 * np.dtype(t).itemsize))


def encoded(path: Path, summary: Summary) -> Iterator[np.ndarray]:
    """The ids of a file in pieces. ValueError: the file has changed since it was summarized."""
    changed = ValueError(
        f"{path}: expected a file that does not change while it is read; try again"
    )
    vocabulary = Vocabulary(summary.symbols)
    digest = hashlib.sha256()
    for data, text in pieces(path):
        digest.update(data)
        try:
            ids = vocabulary.encode(text)
        except ValueError:
            raise changed from None
        yield ids.astype(id_type(len(vocabulary)))
    if digest.hexdigest() != summary.sha256:
        raise changed


def mapped(file: Path, summary: Summary) -> np.ndarray | None:
    """The ids in ``file``, mapped into memory; None if it is missing or damaged.

    The array is followed by the SHA-256 of all preceding bytes.
    """
    try:
        if not is_regular(file):
            return None
        with file.open("rb") as stream:
            digest, rest = hashlib.sha256(), os.fstat(stream.fileno()).st_size - DIGEST
            while rest > 0 and (data := stream.read(min(rest, CHUNK))):
                digest.update(data)
                rest -= len(data)
            if stream.read() != digest.digest():
                return None
        ids = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    fits = ids.shape == (summary.characters,) and ids.dtype == id_type(len(summary.symbols))
    return ids if fits else None


def write_ids(file: Path, path: Path, summary: Summary) -> None:
    """Write the ids of the text at ``path`` to ``file``, which is complete or absent."""
    file.parent.mkdir(parents=True, exist_ok=True)
    header = {
        "descr": np.lib.format.dtype_to_descr(id_type(len(summary.symbols))),
        "fortran_order": False,
        "shape": (summary.characters,),
    }
    start, digest = io.BytesIO(), hashlib.sha256()
    np.lib.format.write_array_header_1_0(start, header)
    with replacing(file) as stream:
        for data in chain([start.getvalue()], (ids.tobytes() for ids in encoded(path, summary))):
            stream.write(data)
            digest.update(data)
        stream.write(digest.digest())


def in_memory(path: Path, summary: Summary) -> np.ndarray:
    ids = np.empty(summary.characters, id_type(len(summary.symbols)))
    place = 0
    for piece in encoded(path, summary):
        ids[place : place + len(piece)] = piece
        place += len(piece)
    return ids


def read_text(path: str | Path, held_out: float = 0.1) -> Text:
    """Read a UTF-8 file of any length in bounded memory.

    The file is read twice in pieces: for its symbols, then for its ids. The ids are written to a
    file in the user's cache folder, named by the SHA-256 of the text, and mapped into memory; if
    this file exists, the text is read once. If the cache cannot be written, a warning is issued and
    the ids are held in memory. Line ends are not changed; a byte order mark is removed.

    Args:
        held_out: share of the text, at its end, that is held out.

    Raises:
        FileNotFoundError, IsADirectoryError: no such file.
        ValueError: an empty file; a file too short to split; bytes that are not UTF-8; ``held_out``
            not between 0 and 1.
    """
    path = Path(path)
    if not 0 < held_out < 1:
        raise ValueError(f"held_out: expected a share between 0 and 1, got {held_out}")
    if path.is_dir():
        raise IsADirectoryError(f"{path}: expected a text file, got a folder; specify a file in it")
    if not path.exists():
        raise FileNotFoundError(f"{path}: expected a text file, but it does not exist")
    if not path.is_file():
        raise ValueError(
            f"{path}: expected a regular file, which can be read twice, got a pipe or device; "
            "save the text to a file first"
        )
    summary = summarize(path)
    if not summary.characters:
        raise ValueError(f"{path}: expected text, got an empty file")
    split = int(summary.characters * (1 - held_out))
    if min(split, summary.characters - split) < 2:
        raise ValueError(
            f"{path}: expected at least 2 characters to train on and 2 held out, got "
            f"{summary.characters} characters of which {summary.characters - split} are held out; "
            "use a longer text"
        )
    file = cache_folder() / "texts" / f"{summary.sha256}.npy"
    ids = mapped(file, summary)
    if ids is None:
        try:
            write_ids(file, path, summary)
            ids = mapped(file, summary)
        except OSError as error:
            warnings.warn(
                f"the ids of {path} are held in memory, because {file.parent} cannot be written "
                f"({error}); free disk space, or (on Linux) set XDG_CACHE_HOME to another folder",
                stacklevel=2,
            )
    if ids is None:
        ids = in_memory(path, summary)
    vocabulary = {"symbols": summary.symbols}
    return Text(
        train=ids[:split],
        held_out=ids[split:],
        vocabulary=vocabulary,
        sha256=summary.sha256,
        path=path,
    )


class TextBatches:
    """A text as B parallel streams, read window by window.

    Stream b starts at character b * ((N - 1) // B) and has n = (N - 1) // B // T windows of T
    characters. Step k is window k mod n of every stream; each label is the character after its
    input, so the last label of a window is the first input of the next window.

    Args:
        ids: (N,), as ``Text.train``.
        batch_size: B.
        window: T.

    A batch is ``{"inputs": (B, T) int32, "labels": (B, T) int32, "fresh": (B,) bool}``, or the
    requested rows of it; no other row is read. ``fresh`` is true at the start of the streams, where
    the carried state belongs to other text and must be reset to zero.

    Raises:
        ValueError: B or T below 1; fewer than B * T + 1 characters.
    """

    def __init__(self, ids: np.ndarray, batch_size: int, window: int):
        for name, value in (("batch_size", batch_size), ("window", window)):
            if value < 1:
                raise ValueError(f"{name}: expected at least 1, got {value}")
        needed = batch_size * window + 1
        if len(ids) < needed:
            raise ValueError(
                f"text: expected at least {needed} characters for batch_size {batch_size} and "
                f"window {window}, got {len(ids)}; use a longer text"
            )
        self.ids = np.asarray(ids)
        self.size = batch_size
        self.window = window
        self.stride = (len(ids) - 1) // batch_size
        self.windows = self.stride // window
        """n, the number of steps that read every stream once."""

    @property
    def tokens(self) -> int:
        """Number of characters in a batch."""
        return self.size * self.window

    @property
    def per_epoch(self) -> int:
        """Number of batches that read every stream once."""
        return self.windows

    def __call__(self, step: int, rows: slice) -> dict[str, np.ndarray]:
        window = step % self.windows
        streams = np.arange(self.size)[rows]
        places = np.arange(self.window + 1) + window * self.window
        ids = self.ids[streams[:, None] * self.stride + places].astype(np.int32)
        return {
            "inputs": ids[:, :-1],
            "labels": ids[:, 1:],
            "fresh": np.full(len(streams), window == 0),
        }
