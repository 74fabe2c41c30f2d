"""Find a lesson by its name."""

from difflib import get_close_matches
from importlib import import_module
from typing import Any

from rnn_lecture.lessons import DATA_SETS, LESSONS, WORDS

__all__ = ["DATA_SETS", "LESSONS", "WORDS", "UnknownLessonError", "load"]


class UnknownLessonError(LookupError):
    """No lesson has this name; the message suggests the nearest."""


def load(name: str) -> Any:
    """The lesson of this name.

    Raises:
        UnknownLessonError: no such lesson.
    """
    if name in LESSONS:
        return import_module(f"jax_rnn.lessons.{name}").lesson
    nearest = get_close_matches(name, LESSONS, n=1, cutoff=0.5)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else "."
    raise UnknownLessonError(f"unknown lesson {name!r}{hint} The lessons are {', '.join(LESSONS)}")
