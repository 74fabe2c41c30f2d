"""One LSTM cell reads one letter.

The slide feeds the letter h, one-hot of size 4, to an LSTM with 2 hidden units and asks for the
shapes. With `batch_first=True` input and output are (batch, time, size); the state is (layers *
directions, batch, hidden) for any `batch_first`.
"""

import numpy as np
import torch
from torch import nn

from reference_torch.lesson import Lesson, encode, one_hot
from reference_torch.training import tensors

SYMBOLS = "helo"


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(input_size=4, hidden_size=2, batch_first=True)

    def forward(self, inputs, hidden=None):
        return self.lstm(inputs, hidden)


def given_state(batch: int) -> tuple[np.ndarray, np.ndarray]:
    """A random (h, c), each (1, batch, 2), drawn by NumPy so that any framework can use it."""
    h, c = np.random.default_rng(11).standard_normal((2, 1, batch, 2)).astype(np.float32)
    return h, c


@torch.no_grad()
def explain(model):
    inputs, _, hidden = tensors(lesson, model)
    _, (h, c) = model(inputs, hidden)
    yield f"hidden size {h.size()}, cell size {c.size()}: (layers * directions, batch, hidden)"


lesson = Lesson(
    name="cell",
    slide="RNN in PyTorch: one hot encoding, one cell",
    teaches="One LSTM step: a letter (1, 1, 4) goes in, a vector (1, 1, 2) comes out.",
    symbols=SYMBOLS,
    inputs=one_hot(encode(["h"], SYMBOLS), len(SYMBOLS)),
    labels=None,
    model=Model,
    hidden=given_state(batch=1),
    epochs=0,
    explain=explain,
)
