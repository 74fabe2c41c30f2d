"""20,074 surnames of 18 languages, split by name."""

import hashlib
import unicodedata
from dataclasses import dataclass
from typing import Any

import numpy as np

from jax_rnn.data.files import fetch_names
from jax_rnn.data.vocabulary import Vocabulary

__all__ = ["NameRows", "Names", "read_names"]

HELD_OUT = 0.2


@dataclass(frozen=True, eq=False)
class NameRows:
    """Names and their languages.

    Attributes:
        ids: (N, T) int32, padded with 0; symbol i has the id i + 1. T is the largest length.
        lengths: (N,) int32.
        language: (N,) int32, index into ``Names.languages``.
    """

    ids: np.ndarray
    lengths: np.ndarray
    language: np.ndarray


@dataclass(frozen=True, eq=False)
class Names:
    """Training and held-out names.

    Attributes:
        languages: all languages, sorted.
        symbols: the symbols of all names, sorted.
        train: about four fifths of the names.
        held_out: the other names; none of them is in ``train``.
    """

    languages: tuple[str, ...]
    symbols: str
    train: NameRows
    held_out: NameRows

    @property
    def vocabulary(self) -> dict[str, Any]:
        """``{"symbols": str, "languages": [str, ...], "longest": T}``."""
        longest = self.train.ids.shape[1]
        return {"symbols": self.symbols, "languages": list(self.languages), "longest": longest}


def is_held_out(name: str) -> bool:
    """Whether a name is held out, decided by its SHA-256 independently of the language."""
    digest = hashlib.sha256(name.encode()).digest()
    return int.from_bytes(digest[:8], "big") < HELD_OUT * 2**64


def read_names() -> Names:
    """Surnames and their languages, from the data of PyTorch's tutorial on names.

    White space around a name is removed and its Unicode is composed (NFC). A name with several
    languages, or a duplicate, keeps all its rows, and all of them are in one part: the split is by
    name, not by row.

    Raises:
        FileNotFoundError, ValueError, ConnectionError, OSError: see ``fetch``.
    """
    files = fetch_names()
    languages = tuple(sorted(files))
    rows = [
        (name, number)
        for number, language in enumerate(languages)
        for line in files[language].read_text("utf-8").split("\n")
        if (name := unicodedata.normalize("NFC", line.strip()))
    ]
    vocabulary = Vocabulary("".join(name for name, _ in rows), first=1)
    longest = max(len(name) for name, _ in rows)

    def part(chosen: list[tuple[str, int]]) -> NameRows:
        ids = np.zeros((len(chosen), longest), np.int32)
        for row, (name, _) in zip(ids, chosen, strict=True):
            row[: len(name)] = vocabulary.encode(name)
        lengths = np.array([len(name) for name, _ in chosen], np.int32)
        return NameRows(ids, lengths, np.array([number for _, number in chosen], np.int32))

    held_out = [row for row in rows if is_held_out(row[0])]
    train = [row for row in rows if not is_held_out(row[0])]
    return Names(languages, vocabulary.symbols, part(train), part(held_out))
