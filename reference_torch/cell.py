"""One LSTM cell reads one letter.

The slide feeds the letter h, one-hot of size 4, to an LSTM with 2 hidden units and asks for the
shapes. With `batch_first=True` input and output are (batch, time, size); the state is (layers *
directions, batch, hidden) for any `batch_first`.
"""

import torch
from torch import nn

from reference_torch.teaching.words import WordLesson
from rnn_lecture import words
from rnn_lecture.recipe import WordRecipe


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(input_size=4, hidden_size=2, batch_first=True)

    def forward(self, inputs, hidden=None):
        return self.lstm(inputs, hidden)


@torch.no_grad()
def explain(model):
    inputs, hidden = lesson.arguments(model)
    _, (h, c) = model(inputs, hidden)
    yield f"hidden size {h.size()}, cell size {c.size()}: (layers * directions, batch, hidden)"


lesson = WordLesson(facts=words.CELL, model=Model, recipe=WordRecipe(), explain=explain)
