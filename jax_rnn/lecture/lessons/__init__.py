"""The lecture's programs, one file each; ``reference_torch`` has the same file in PyTorch."""

from typing import Any

from rnn_lecture.lessons import DATA_SETS, LESSONS, WORDS, UnknownLessonError, find, names_in

__all__ = ["DATA_SETS", "LESSONS", "WORDS", "UnknownLessonError", "lesson_names", "load"]


def load(name: str) -> Any:
    """The lesson of this name. UnknownLessonError: there is none."""
    return find(__name__, name)


def lesson_names() -> tuple[str, ...]:
    """Names of all lessons: ``LESSONS``, those of the lecture, then all others."""
    return names_in(__name__)
