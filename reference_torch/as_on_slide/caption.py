"""The caption lleeel under a figure of lleel.

The third row of the figure is l l e e l, five letters, as in the code next to it. The caption has
one more e, and three words of different lengths cannot be stacked to (3, 5, 4).

Correct: lleel.
"""

import numpy as np

from rnn_lecture.facts import encode, one_hot
from rnn_lecture.words import CELL

CAPTIONS = ("hello", "eolll", "lleeel")


def stacked() -> np.ndarray:
    return one_hot(encode(CAPTIONS, CELL.symbols), len(CELL.symbols))
