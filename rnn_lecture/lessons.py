"""The names of all lessons, in the order of the lecture."""

__all__ = ["DATA_SETS", "LESSONS", "WORDS"]

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
