"""The programs of "ML/DL for Everyone with PyTorch, Lecture 11: RNN", in current PyTorch.

    python -m reference_torch            list the lessons
    python -m reference_torch ihello     run a lesson

Each lesson is one file with the question of the slide, the model, its loss and its hyperparameters.
`teaching/` holds what all lessons share, the training loop among it, and `as_on_slide/` shows how
the faulty code of the slides fails today. The data is in `rnn_lecture`.
"""

from functools import partial

from rnn_lecture.lessons import DATA_SETS, LESSONS, WORDS, UnknownLessonError, find, names_in

__all__ = ["DATA_SETS", "LESSONS", "WORDS", "UnknownLessonError", "lesson_names", "load"]

load = partial(find, __name__)
lesson_names = partial(names_in, __name__)
