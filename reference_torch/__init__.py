"""The programs of "ML/DL for Everyone with PyTorch, Lecture 11: RNN", in current PyTorch.

    python -m reference_torch            list the lessons
    python -m reference_torch ihello     run a lesson

Each lesson is one file with the question of the slide, the model and its loss. `teaching/` holds
what all lessons share, the training loop among it, and `as_on_slide/` shows how the faulty code of
the slides fails today. Data and hyperparameters are in `rnn_lecture`.
"""

from typing import Any

from rnn_lecture.lessons import DATA_SETS, LESSONS, WORDS, UnknownLessonError, find, names_in

__all__ = ["DATA_SETS", "LESSONS", "WORDS", "UnknownLessonError", "lesson_names", "load"]


def load(name: str) -> Any:
    """The lesson of this name. UnknownLessonError: there is none."""
    return find(__name__, name)


def lesson_names() -> tuple[str, ...]:
    """Names of all lessons: `LESSONS`, those of the lecture, then all others."""
    return names_in(__name__)
