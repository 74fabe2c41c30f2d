"""A data set in two parts."""

from dataclasses import dataclass
from typing import Any

__all__ = ["Data"]


@dataclass(frozen=True, eq=False)
class Data:
    """A data set, split into two parts.

    Attributes:
        train, held_out: dicts of arrays with one row per example, or the ids (N,) of a text.
        vocabulary: what a trained model needs to know of the data, a dict that JSON can hold.
        sha256: checksum of a text; None for other data.
    """

    train: Any
    held_out: Any
    vocabulary: dict[str, Any]
    sha256: str | None = None
