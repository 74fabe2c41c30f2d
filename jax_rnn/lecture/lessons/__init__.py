"""The lecture's programs, one file each; ``reference_torch`` has the same file in PyTorch."""

from functools import partial

from rnn_lecture.lessons import DATA_SETS, LESSONS, WORDS, UnknownLessonError, find, names_in

__all__ = ["DATA_SETS", "LESSONS", "WORDS", "UnknownLessonError", "lesson_names", "load"]

load = partial(find, __name__)
lesson_names = partial(names_in, __name__)
