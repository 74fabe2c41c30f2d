"""The programs of "ML/DL for Everyone with PyTorch, Lecture 11: RNN", in today's PyTorch.

    python -m reference_torch            the list of lessons
    python -m reference_torch ihello     run one

Each lesson is one file: what the slide asks, the model, the data. `lesson.py` says what a lesson
is, `training.py` holds the loop they share, `as_on_slide/` keeps the slides' faults as they fail
today. The lessons that learn from a data set are told by `task.py`: they have batches, a part that
is held out, and a recipe.
"""

from importlib import import_module

from reference_torch.lesson import Lesson
from reference_torch.task import Task

NAMES = (
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
"""The lessons in the order of the lecture."""

TASKS = ("names", "names_generate", "char_lm", "seq2seq", "seq2seq_attention")
"""The lessons on real data."""


def load(name: str) -> Lesson:
    """One of `NAMES`."""
    if name not in NAMES:
        raise ValueError(f"expected a lesson among {', '.join(NAMES)}, got {name!r}")
    return import_module(f"reference_torch.{name}").lesson


def load_task(name: str) -> Task:
    """One of `TASKS`."""
    if name not in TASKS:
        raise ValueError(f"expected a lesson among {', '.join(TASKS)}, got {name!r}")
    return import_module(f"reference_torch.{name}").lesson
