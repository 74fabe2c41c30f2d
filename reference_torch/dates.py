"""Dates as people write them, and the same dates as ISO 8601: a task with endless data."""

import hashlib
from collections.abc import Callable, Sequence
from datetime import date, timedelta

import numpy as np

from reference_torch.data import Data

START, END = 0, 1
"""Padding of a source, and what a decoder reads first; the end of a target."""

FIRST, LAST = date(1950, 1, 1), date(2049, 12, 31)
MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
TARGET_SYMBOLS = "-0123456789"


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
"""No two dates are written the same; years of two figures are those from 1950 to 2049."""


def number(*parts: object) -> int:
    """A number that follows from `parts` and looks random, the same everywhere."""
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big")


def read_dates(count: int = 20_000, seed: int = 0) -> Data:
    """Dates in many formats, `count` to train on and a tenth as many held out; they share no day.

    Rows of a part: `sources` (N, S), symbol i having the id i + 1, and `source_lengths` (N,);
    `targets` (N, 11), symbol i having the id i + 2, with `END` after the ten.
    """
    days = [FIRST + timedelta(n) for n in range((LAST - FIRST).days + 1)]
    away = [number("day", day.isoformat()) < 0.1 * 2**64 for day in days]
    a_year = [date(2000, 1, 1) + timedelta(n) for n in range(366)]
    written = [write(day) for day in a_year for write in FORMATS]
    symbols = "".join(sorted(set("".join(written))))
    longest = max(map(len, written))

    def part(name: str, days: Sequence[date], rows: int) -> dict[str, np.ndarray]:
        sources = np.zeros((rows, longest), np.int32)
        lengths = np.zeros(rows, np.int32)
        targets = np.full((rows, 11), END, np.int32)
        for row in range(rows):
            day = days[number(name, seed, row, "day") % len(days)]
            text = FORMATS[number(name, seed, row, "format") % len(FORMATS)](day)
            lengths[row] = len(text)
            sources[row, : len(text)] = [symbols.index(letter) + 1 for letter in text]
            targets[row, :-1] = [TARGET_SYMBOLS.index(figure) + 2 for figure in day.isoformat()]
        return {"sources": sources, "source_lengths": lengths, "targets": targets}

    told = [day for day, held in zip(days, away, strict=True) if not held]
    asked = [day for day, held in zip(days, away, strict=True) if held]
    vocabulary = {"source_symbols": symbols, "target_symbols": TARGET_SYMBOLS}
    return Data(
        part("train", told, count), part("held_out", asked, max(1, count // 10)), vocabulary
    )
