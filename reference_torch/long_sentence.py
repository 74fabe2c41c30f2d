"""Learn one long sentence by heart: Embedding, LSTM, Linear.

The exercise: 180 characters of 25 kinds, every one to be followed by the next. The whole sentence
is one sequence, so the LSTM can carry all that it has read. It ends exact in two ways: fed with
the true letters, and left alone with the first letter and its own predictions from there on.
"""

import torch
from torch import nn

from reference_torch.lesson import Lesson, encode
from reference_torch.training import tensors

SENTENCE = (
    "if you want to build a ship, don't drum up people together to "
    "collect wood and don't assign them tasks and work, but rather "
    "teach them to long for the endless immensity of the sea."
)
SYMBOLS = "".join(sorted(set(SENTENCE)))


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(25, 25)
        self.lstm = nn.LSTM(input_size=25, hidden_size=25, batch_first=True)
        self.linear = nn.Linear(25, 25)

    def forward(self, inputs, hidden=None):
        h, hidden = self.lstm(self.embedding(inputs), hidden)
        return self.linear(h), hidden


@torch.no_grad()
def read(model: nn.Module) -> str:
    """What the model predicts when it is fed with the true letters."""
    logits, _ = model(tensors(lesson, model).inputs)
    return lesson.text(logits.argmax(dim=-1).cpu().numpy())


@torch.no_grad()
def write(model: nn.Module, first: str, length: int) -> str:
    """What the model writes on its own: every prediction is the next input."""
    written, hidden = first, None
    device = next(model.parameters()).device
    for _ in range(length):
        letter = torch.tensor(encode([written[-1]], SYMBOLS), device=device)
        logits, hidden = model(letter, hidden)
        written += SYMBOLS[int(logits.argmax())]
    return written


def explain(model):
    first, rest = SENTENCE[0], SENTENCE[1:]
    read_exactly = read(model) == rest
    written = write(model, first, len(rest))
    yield f"Fed with the true letters: {'exact' if read_exactly else 'not exact'}."
    yield f"From the first letter on its own: {'exact' if written == SENTENCE else 'not exact'}."
    yield written


lesson = Lesson(
    name="long_sentence",
    slide="Exercise 11-4",
    teaches="An LSTM learns 180 characters by heart and writes them from the first letter on.",
    symbols=SYMBOLS,
    inputs=encode([SENTENCE[:-1]], SYMBOLS),
    labels=encode([SENTENCE[1:]], SYMBOLS),
    model=Model,
    learning_rate=0.03,
    epochs=150,
    explain=explain,
)
