"""A softmax classifier for hihell -> ihello: the next letter from the current letter only.

    logits_t = W x_t + b

The slide asks why this does not work. h is followed once by i and once by e, and l once by l and
once by o. From one letter, the best prediction at these four of six positions is 1/2 for each:

    loss >= 4 ln 2 / 6 = 0.46210        accuracy <= 4 / 6

The prediction is a function of the letter, so it cannot be ihello. The model has no memory.
"""

import torch
from torch import nn

from reference_torch.teaching.words import WordLesson, score
from rnn_lecture import words


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(5, 5)

    def forward(self, inputs, hidden=None):
        return self.linear(inputs), None


@torch.no_grad()
def explain(model):
    yield "The predictions of the model after each letter:"
    logits, _ = model(torch.eye(5).to(model.linear.weight)[None])
    for letter, P in zip("hiel", logits[0].softmax(-1), strict=False):
        chances = "  ".join(f"{s} {p:.2f}" for s, p in zip(lesson.symbols, P, strict=True))
        yield f"  P(next | {letter}):  {chances}"
    best = words.one_letter_bounds()
    loss, accuracy = score(lesson, model)
    yield f"A predictor that sees one letter has no loss below 4 ln 2 / 6 = {best.loss:.5f}"
    yield f"and at most {best.accuracy * 6:.0f} of 6 letters right."
    yield f"This model: loss {loss:.5f}, {accuracy * 6:.0f} of 6 right. It has no memory."


lesson = WordLesson.of(words.SOFTMAX, model=Model, explain=explain)
