"""Symbols and their numbers."""

import numpy as np

__all__ = ["Vocabulary"]


def code_points(text: str) -> np.ndarray:
    """The Unicode code point of every character, (len(text),) uint32."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


class Vocabulary:
    """The distinct characters of a text, sorted by code point, and their ids.

    ``Vocabulary("hello")`` and ``Vocabulary("ehlo")`` are equal.

    Args:
        symbols: any text.
        first: id of the first symbol. Smaller ids are reserved, e.g. for padding, start and end.

    Attributes:
        symbols: each symbol once, sorted: the id of ``symbols[i]`` is ``first + i``.
        first: the argument ``first``.

    ``len(vocabulary)`` is the number of ids including the reserved ones, the rows of an embedding.

    Raises:
        ValueError: no symbol; ``first`` below 0.
    """

    def __init__(self, symbols: str, first: int = 0):
        if not symbols:
            raise ValueError("symbols: expected at least one character, got an empty text")
        if first < 0:
            raise ValueError(f"first: expected an id of at least 0, got {first}")
        self.symbols = "".join(sorted(set(symbols)))
        self.first = first
        codes = code_points(self.symbols)
        self._table = np.full(int(codes[-1]) + 2, -1, np.int32)
        self._table[codes] = np.arange(first, first + len(codes), dtype=np.int32)

    def __len__(self) -> int:
        return self.first + len(self.symbols)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Vocabulary):
            return NotImplemented
        return (self.symbols, self.first) == (other.symbols, other.first)

    def __hash__(self) -> int:
        return hash((self.symbols, self.first))

    def __repr__(self) -> str:
        return f"Vocabulary({self.symbols!r}, first={self.first})"

    def encode(self, text: str) -> np.ndarray:
        """The ids of a text, (len(text),) int32.

        Raises:
            ValueError: a symbol that is not in the vocabulary.
        """
        codes = np.minimum(code_points(text), np.uint32(len(self._table) - 1))
        ids = self._table[codes]
        unknown = np.flatnonzero(ids < 0)
        if unknown.size:
            place = int(unknown[0])
            raise ValueError(
                f"text: expected symbols among {self.symbols!r}, "
                f"got {text[place]!r} (U+{ord(text[place]):04X}) at character {place + 1}; "
                "remove or replace it"
            )
        return ids

    def decode(self, ids) -> str:
        """The text of ids of shape (T,); ids below ``first`` are skipped.

        Raises:
            ValueError: an id below 0 or not below ``len(vocabulary)``.
        """
        ids = np.asarray(ids)
        wrong = ids[(ids < 0) | (ids >= len(self))]
        if wrong.size:
            raise ValueError(f"ids: expected 0 to {len(self) - 1}, got {wrong[0]}")
        return "".join(self.symbols[i - self.first] for i in ids.tolist() if i >= self.first)
