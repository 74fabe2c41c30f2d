"""The names of all lessons, in the order of the lecture, and their programs."""

from difflib import get_close_matches
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

__all__ = ["DATA_SETS", "LESSONS", "WORDS", "UnknownLessonError", "find", "names_in"]

WORDS = (
    "cell",
    "unfold",
    "batch",
    "ihello",
    "ihello_stepwise",
    "softmax",
    "rnn_linear",
    "embedding",
    "long_sentence",
    "long_sentence_windows",
    "rnn_by_hand",
    "gru_by_hand",
    "lstm_by_hand",
)
"""Lessons whose data is a word or a sentence."""

DATA_SETS = ("names", "names_generate", "char_lm", "seq2seq", "seq2seq_attention")
"""Lessons that train on a data set and are evaluated on held-out data."""

LESSONS = (*WORDS, *DATA_SETS)


class UnknownLessonError(LookupError):
    """No lesson has this name; the message suggests the nearest."""


def names_in(package: str) -> tuple[str, ...]:
    """Names of the lessons in a package, one per file: those of the lecture, then all others."""
    files = {file.name for file in iter_modules(import_module(package).__path__) if not file.ispkg}
    others = sorted(name for name in files - {*LESSONS} if not name.startswith("_"))
    return (*(name for name in LESSONS if name in files), *others)


def find(package: str, name: str) -> Any:
    """The lesson of this name in a package.

    Raises:
        UnknownLessonError: no file of this name, or one that does not define this lesson.
    """
    names = names_in(package)
    if name not in names:
        nearest = get_close_matches(name, names, n=1, cutoff=0.5)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else "."
        raise UnknownLessonError(
            f"unknown lesson {name!r}{hint} The lessons are {', '.join(names)}"
        )
    lesson = getattr(import_module(f"{package}.{name}"), "lesson", None)
    found = getattr(lesson, "name", None)
    if found != name:
        raise UnknownLessonError(
            f"{package}.{name}: expected `lesson`, whose name is {name!r}, got {found!r}"
        )
    return lesson
