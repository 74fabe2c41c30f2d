"""The long sentence split into 170 windows of 10 letters, each starting one letter later.

Every window starts from a zero state, so the model knows only the letters of the window so far.
After a single t, for example, the next letter is not determined, which gives these bounds:

    loss >= 0.22849        accuracy <= 0.8965

After 8 letters or more the next one is determined, so the string that is read from the last letter
of each window can be correct except for its first few letters.

Training stops at 70 epochs, near the bound. After that, Adam's steps at this learning rate are
chaotic: two runs that differ by one rounding error diverge.
"""

import numpy as np
from torch import nn

from reference_torch.bayes import Bounds, bounds
from reference_torch.lesson import Lesson, encode, one_hot
from reference_torch.long_sentence import SENTENCE, SYMBOLS
from reference_torch.training import score

LENGTH = 10
STARTS = range(len(SENTENCE) - LENGTH)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(input_size=25, hidden_size=25, num_layers=2, batch_first=True)
        self.linear = nn.Linear(25, 25)

    def forward(self, inputs, hidden=None):
        h, hidden = self.lstm(inputs, hidden)
        return self.linear(h), hidden


def windows(start: int) -> list[str]:
    return [SENTENCE[i + start : i + start + LENGTH] for i in STARTS]


def overlapped(ids: np.ndarray) -> np.ndarray:
    """The whole first window, then the last letter of every other window."""
    return np.concatenate([ids[0], ids[1:, -1]])


def best() -> Bounds:
    """The bounds of a predictor that reads the letters of the window so far."""
    return bounds(
        (x[: t + 1], y[t])
        for x, y in zip(windows(0), windows(1), strict=True)
        for t in range(LENGTH)
    )


def explain(model):
    loss, accuracy = score(lesson, model)
    bound = best()
    yield "Bounds of a predictor that reads only the letters of the window so far:"
    yield f"  loss at least {bound.loss:.5f}, accuracy at most {bound.accuracy:.4f};"
    yield f"  this model: loss {loss:.5f}, accuracy {accuracy:.4f}."


lesson = Lesson(
    name="long_sentence_windows",
    slide="Exercise 11-4, in windows of 10",
    teaches="Windows cannot be predicted exactly; the lower bound of the loss can be computed.",
    symbols=SYMBOLS,
    inputs=one_hot(encode(windows(0), SYMBOLS), len(SYMBOLS)),
    labels=encode(windows(1), SYMBOLS),
    model=Model,
    epochs=70,
    reading=overlapped,
    explain=explain,
)
