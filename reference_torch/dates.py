"""Dates in the formats people use, as the source language for ISO 8601."""

import hashlib
from collections.abc import Callable
from datetime import date, timedelta

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
"""Every text stands for one date only; years of two digits are 1950 to 2049."""


def number(*parts: object) -> int:
    """A pseudorandom number computed from `parts`, the same on every machine."""
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big")


def days() -> tuple[list[date], list[date]]:
    """All days: those for training, and a tenth that is held out."""
    every = [FIRST + timedelta(n) for n in range((LAST - FIRST).days + 1)]
    away = [number("day", day.isoformat()) < 0.1 * 2**64 for day in every]
    pairs = list(zip(every, away, strict=True))
    return [day for day, held in pairs if not held], [day for day, held in pairs if held]


def spellings() -> list[str]:
    """All days of a year in all formats, which contain every symbol and the longest text."""
    year = [date(2000, 1, 1) + timedelta(n) for n in range(366)]
    return [write(day) for day in year for write in FORMATS]
