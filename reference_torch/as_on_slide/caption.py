"""The caption lleeel under a figure of lleel.

The figure's third row is l l e e l, five letters, as the code beside it has it. The caption has an
e more, and three words of different length cannot be stacked to (3, 5, 4).

Right: lleel.
"""

import numpy as np

from reference_torch.cell import SYMBOLS
from reference_torch.lesson import encode, one_hot

CAPTIONS = ("hello", "eolll", "lleeel")


def stacked() -> np.ndarray:
    return one_hot(encode(CAPTIONS, SYMBOLS), len(SYMBOLS))
