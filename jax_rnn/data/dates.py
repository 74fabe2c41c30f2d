"""Generated dates in the formats people use, and the same dates as ISO 8601."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from typing import Any

import numpy as np

from jax_rnn.data.vocabulary import Vocabulary

__all__ = ["END", "FORMATS", "START", "DateRows", "Dates", "read_dates"]

START = 0
"""Id of the padding in sources, and of the first input of a decoder."""
END = 1
"""Id of the end of a target."""

HELD_OUT = 0.1
FIRST, LAST = date(1950, 1, 1), date(2049, 12, 31)

MONTHS = [
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
]
WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]


def month(day: date) -> str:
    return MONTHS[day.month - 1]


def weekday(day: date) -> str:
    return WEEKDAYS[day.weekday()]


def ordinal(day: date) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(day.day % 10, "th")
    return f"{day.day}{'th' if 11 <= day.day <= 13 else ending}"


FORMATS: tuple[Callable[[date], str], ...] = (
    lambda d: f"{d.day} {month(d)} {d.year}",
    lambda d: f"{d.day} {month(d)[:3]} {d.year}",
    lambda d: f"{d.day:02} {month(d)[:3]} {d.year % 100:02}",
    lambda d: f"{d.day} {month(d).upper()} {d.year}",
    lambda d: f"{d.day} {month(d).lower()} {d.year}",
    lambda d: f"{month(d)} {d.day}, {d.year}",
    lambda d: f"{month(d)[:3]} {d.day}, {d.year}",
    lambda d: f"{month(d)} {ordinal(d)}, {d.year}",
    lambda d: f"{ordinal(d)} of {month(d)} {d.year}",
    lambda d: f"the {ordinal(d)} of {month(d)}, {d.year}",
    lambda d: f"{weekday(d)}, {ordinal(d)} of {month(d)} {d.year}",
    lambda d: f"{weekday(d)}, {d.day} {month(d)} {d.year}",
    lambda d: f"{weekday(d)[:3]}, {month(d)[:3]} {d.day}, {d.year}",
    lambda d: f"{weekday(d)[:3]} {d.day} {month(d)[:3]} {d.year}",
    lambda d: f"{d.day}-{month(d)[:3]}-{d.year}",
    lambda d: f"{d.day:02}/{d.month:02}/{d.year}",
    lambda d: f"{d.day:02}/{d.month:02}/{d.year % 100:02}",
    lambda d: f"{d.day}/{d.month}/{d.year % 100:02}",
    lambda d: f"{d.day:02}.{d.month:02}.{d.year}",
    lambda d: f"{d.day}. {month(d)} {d.year}",
    lambda d: f"{d.year}/{d.month:02}/{d.day:02}",
    lambda d: f"{d.year} {month(d)} {d.day}",
    lambda d: f"{d.year}{d.month:02}{d.day:02}",
)
"""Common formats of dates; every text stands for one date only.

In numeric formats the day comes before the month, except after the year; years of two digits are
1950 to 2049.
"""


@dataclass(frozen=True, eq=False)
class DateRows:
    """Dates in common formats and as ISO 8601.

    Attributes:
        sources: (N, S) int32, padded with 0; symbol i has the id i + 1. S is the largest length.
        source_lengths: (N,) int32.
        targets: (N, 11) int32: 10 symbols, of which symbol i has the id i + 2, and ``END``. Targets
            do not contain ``START``, the first input of a decoder.
    """

    sources: np.ndarray
    source_lengths: np.ndarray
    targets: np.ndarray


@dataclass(frozen=True, eq=False)
class Dates:
    """Training and held-out dates, with no common day.

    Attributes:
        train: ``count`` rows.
        held_out: a tenth as many rows.
        vocabulary: ``{"source_symbols": str, "target_symbols": "-0123456789"}``, with the source
            symbols of all formats. ``Vocabulary(source_symbols, first=1)`` and
            ``Vocabulary(target_symbols, first=2)`` encode and decode them.
    """

    train: DateRows
    held_out: DateRows
    vocabulary: dict[str, Any]


def number(*parts: object) -> int:
    """A pseudo-random number computed from ``parts``, the same on every machine."""
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big")


@cache
def days() -> tuple[list[date], list[date]]:
    """All days, for training and held out."""
    every = [FIRST + timedelta(n) for n in range((LAST - FIRST).days + 1)]
    held_out = [number("day", day.isoformat()) < HELD_OUT * 2**64 for day in every]
    pairs = list(zip(every, held_out, strict=True))
    return [day for day, held in pairs if not held], [day for day, held in pairs if held]


@cache
def alphabet() -> tuple[Vocabulary, Vocabulary, int]:
    """Vocabularies of sources and targets, and the longest source of all formats."""
    a_year = [date(2000, 1, 1) + timedelta(n) for n in range(366)]
    written = [write(day) for day in a_year for write in FORMATS]
    longest = max(map(len, written))
    return Vocabulary("".join(written), first=1), Vocabulary("-0123456789", first=2), longest


def read_dates(count: int = 20_000, seed: int = 0) -> Dates:
    """Dates in many formats, drawn for ``seed``; the same on every machine.

    The held-out days do not depend on ``seed``, so models of different seeds can be compared. Days
    are from 1950 to 2049.

    Args:
        count: number of rows to train on.
        seed: seed of the drawn days and formats.

    Raises:
        ValueError: ``count`` below 1.
    """
    if count < 1:
        raise ValueError(f"count: expected at least 1, got {count}")
    source, target, longest = alphabet()

    def part(name: str, days: list[date], rows: int) -> DateRows:
        sources = np.zeros((rows, longest), np.int32)
        lengths = np.zeros(rows, np.int32)
        targets = np.full((rows, 11), END, np.int32)
        for row in range(rows):
            day = days[number(name, seed, row, "day") % len(days)]
            text = FORMATS[number(name, seed, row, "format") % len(FORMATS)](day)
            lengths[row] = len(text)
            sources[row, : len(text)] = source.encode(text)
            targets[row, :-1] = target.encode(day.isoformat())
        return DateRows(sources, lengths, targets)

    train, held_out = days()
    return Dates(
        part("train", train, count),
        part("held_out", held_out, max(1, count // 10)),
        {"source_symbols": source.symbols, "target_symbols": target.symbols},
    )
