"""A softmax classifier for hihell -> ihello: the next letter from this letter alone.

    logits_t = W x_t + b

The slide asks: why does it not work? Because h is followed once by i and once by e, and l once by
l and once by o. Who sees one letter only can at best say fifty-fifty, four times out of six:

    loss >= 4 ln 2 / 6 = 0.46210        accuracy <= 4 / 6

The prediction is a function of the letter, so it can never be ihello. What is missing is memory.
"""

import torch
from torch import nn

from reference_torch.bayes import bounds
from reference_torch.ihello import SYMBOLS, X, Y
from reference_torch.lesson import Lesson, one_hot
from reference_torch.training import score


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(5, 5)

    def forward(self, inputs, hidden=None):
        return self.linear(inputs), None


@torch.no_grad()
def explain(model):
    yield "What the model says after each letter:"
    logits, _ = model(torch.eye(5).to(model.linear.weight)[None])
    for letter, P in zip("hiel", logits[0].softmax(-1), strict=False):
        chances = "  ".join(f"{s} {p:.2f}" for s, p in zip(SYMBOLS, P, strict=True))
        yield f"  P(next | {letter}):  {chances}"
    best = bounds(zip("hihell", "ihello", strict=True))
    loss, accuracy = score(lesson, model)
    yield f"Nobody who sees one letter has a loss below 4 ln 2 / 6 = {best.loss:.5f}"
    yield f"or more than {best.accuracy * 6:.0f} of 6 letters right."
    yield f"This model: loss {loss:.5f}, {accuracy * 6:.0f} of 6 right. It has no memory."


lesson = Lesson(
    name="softmax",
    slide="Exercise 11-1",
    teaches="Without memory the next letter cannot be known: h and l have two followers each.",
    symbols=SYMBOLS,
    inputs=one_hot(X, len(SYMBOLS)),
    labels=Y,
    model=Model,
    explain=explain,
)
