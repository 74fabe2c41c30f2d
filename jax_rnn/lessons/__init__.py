"""The lecture's programs, one file each; ``reference_torch`` has the same file in PyTorch."""

from jax_rnn.teaching.catalog import DATA_SETS, LESSONS, WORDS, UnknownLessonError, load

__all__ = ["DATA_SETS", "LESSONS", "WORDS", "UnknownLessonError", "load"]
