"""The programs of "ML/DL for Everyone with PyTorch, Lecture 11: RNN", in current PyTorch.

    python -m reference_torch            list the lessons
    python -m reference_torch ihello     run a lesson

Each lesson is one file with the question of the slide, the model and the data. `lesson.py` defines
a lesson, `training.py` is the shared training loop, and `as_on_slide/` shows how the faulty code of
the slides fails today. `task.py` defines the lessons on data sets, which have batches, held-out
data and a recipe.
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
    """The lesson of this name, one of `NAMES`."""
    if name not in NAMES:
        raise ValueError(f"expected a lesson among {', '.join(NAMES)}, got {name!r}")
    return import_module(f"reference_torch.{name}").lesson


def load_task(name: str) -> Task:
    """The lesson of this name, one of `TASKS`."""
    if name not in TASKS:
        raise ValueError(f"expected a lesson among {', '.join(TASKS)}, got {name!r}")
    return import_module(f"reference_torch.{name}").lesson
