"""The programs of "ML/DL for Everyone with PyTorch, Lecture 11: RNN", in current PyTorch.

    python -m reference_torch            list the lessons
    python -m reference_torch ihello     run a lesson

Each lesson is one file with the question of the slide, the model and the data. `lesson.py` defines
a lesson, `training.py` is the shared training loop, and `as_on_slide/` shows how the faulty code of
the slides fails today. `task.py` defines the lessons on data sets, which have batches, held-out
data and a recipe.
"""

from importlib import import_module
from typing import Any

from rnn_lecture.lessons import DATA_SETS, LESSONS, WORDS

__all__ = ["DATA_SETS", "LESSONS", "WORDS", "load"]


def load(name: str) -> Any:
    """The lesson of this name, one of `LESSONS`."""
    if name not in LESSONS:
        raise ValueError(f"expected a lesson among {', '.join(LESSONS)}, got {name!r}")
    return import_module(f"reference_torch.{name}").lesson
