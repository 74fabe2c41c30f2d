"""The programs of "ML/DL for Everyone with PyTorch, Lecture 11: RNN", in current PyTorch.

    python -m reference_torch            list the lessons
    python -m reference_torch ihello     run a lesson

Each lesson is one file with the question of the slide, the model and its loss. `lesson.py` defines
a lesson, `words.py` one on a word or a sentence, `training.py` is the training loop of all, and
`as_on_slide/` shows how the faulty code of the slides fails today. Data and hyperparameters are in
`rnn_lecture`.
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
