"""Memorize one long sentence: Embedding, LSTM, Linear.

The exercise: 180 characters, 25 different ones; predict the next at every step. The whole sentence
is one sequence, so the LSTM can use everything before. The trained model is exact both with the
true letters as inputs and with the first letter and its own predictions as inputs.
"""

import torch
from torch import nn
from torch.nn import functional as F

from reference_torch.teaching.words import WordLesson
from rnn_lecture import words
from rnn_lecture.facts import encode
from rnn_lecture.recipe import WordRecipe
from rnn_lecture.words import SENTENCE


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(25, 25)
        self.lstm = nn.LSTM(input_size=25, hidden_size=25, batch_first=True)
        self.linear = nn.Linear(25, 25)

    def forward(self, inputs, hidden=None):
        h, hidden = self.lstm(self.embedding(inputs), hidden)
        return self.linear(h), hidden


def loss(model, batch):
    logits, _ = model(batch["inputs"])
    return F.cross_entropy(logits.mT, batch["labels"]), {"prediction": logits.argmax(-1)}


@torch.no_grad()
def read(model: nn.Module) -> str:
    """The predictions of the model with the true letters as inputs."""
    logits, _ = model(lesson.batch(model)["inputs"])
    return lesson.facts.text(logits.argmax(dim=-1).cpu().numpy())


@torch.no_grad()
def write(model: nn.Module, first: str, length: int) -> str:
    """The text that the model generates: every prediction is the next input."""
    written, hidden = first, None
    device = next(model.parameters()).device
    for _ in range(length):
        letter = torch.tensor(encode([written[-1]], lesson.facts.symbols), device=device)
        logits, hidden = model(letter, hidden)
        written += lesson.facts.symbols[int(logits.argmax())]
    return written


def explain(model):
    first, rest = SENTENCE[0], SENTENCE[1:]
    written = write(model, first, len(rest))
    exact = {"the true letters": read(model) == rest, "its own predictions": written == SENTENCE}
    for inputs, correct in exact.items():
        yield f"The model reads {inputs}: {'all' if correct else 'not all'} letters are correct."
    yield written


lesson = WordLesson(
    facts=words.LONG_SENTENCE,
    model=Model,
    loss=loss,
    recipe=WordRecipe(learning_rate=0.03, steps=150),
    explain=explain,
)
