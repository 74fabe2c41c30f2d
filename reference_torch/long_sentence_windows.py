"""The long sentence cut into windows: 170 pieces of 10 letters, each one letter further.

Every window starts with an empty state, so the model knows the letters of the window so far and no
more. After a single t it cannot say what follows, however long it trains:

    loss >= 0.22849        accuracy <= 0.8965

After 8 letters or more the next one is certain, so the string, read from the last letter of each
window, can be right all the same, but for its first few letters.

Training stops at 70 epochs, near the floor. Further on Adam's steps at this learning rate are
chaotic: two runs that differ by one rounding error drift apart.
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
    """The first window whole, then the last letter of each further one."""
    return np.concatenate([ids[0], ids[1:, -1]])


def best() -> Bounds:
    """The bounds for who sees the letters of the window so far."""
    return bounds(
        (x[: t + 1], y[t])
        for x, y in zip(windows(0), windows(1), strict=True)
        for t in range(LENGTH)
    )


def explain(model):
    loss, accuracy = score(lesson, model)
    bound = best()
    yield "Who sees only the letters of the window so far can at best reach"
    yield f"  loss {bound.loss:.5f}, accuracy {bound.accuracy:.4f};"
    yield f"  loss {loss:.5f}, accuracy {accuracy:.4f} is what this model has."


lesson = Lesson(
    name="long_sentence_windows",
    slide="Exercise 11-4, in windows of 10",
    teaches="Cut into windows the sentence cannot be known exactly, and the floor can be counted.",
    symbols=SYMBOLS,
    inputs=one_hot(encode(windows(0), SYMBOLS), len(SYMBOLS)),
    labels=encode(windows(1), SYMBOLS),
    model=Model,
    epochs=70,
    reading=overlapped,
    explain=explain,
)
