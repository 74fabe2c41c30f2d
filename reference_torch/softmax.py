"""A softmax classifier for hihell -> ihello: the next letter from the current letter only.

    logits_t = W x_t + b

The slide asks why this does not work. h is followed once by i and once by e, and l once by l and
once by o. From one letter, the best prediction at these four of six positions is 1/2 for each:

    loss >= 4 ln 2 / 6 = 0.46210        accuracy <= 4 / 6

The prediction is a function of the letter, so it cannot be ihello. The model has no memory.
"""

import torch
from torch import nn
from torch.nn import functional as F

from reference_torch.teaching.words import WordLesson
from rnn_lecture import words
from rnn_lecture.recipe import WordRecipe


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(5, 5)

    def forward(self, inputs, hidden=None):
        return self.linear(inputs), None


def loss(model, batch):
    logits, _ = model(batch["inputs"])
    return F.cross_entropy(logits.mT, batch["labels"]), {"prediction": logits.argmax(-1)}


@torch.no_grad()
def explain(model):
    yield "The predictions of the model after each letter:"
    logits, _ = model(torch.eye(5).to(model.linear.weight)[None])
    for letter, P in zip("hiel", logits[0].softmax(-1), strict=False):
        chances = "  ".join(f"{s} {p:.2f}" for s, p in zip("hielo", P, strict=True))
        yield f"  P(next | {letter}):  {chances}"
    best = words.one_letter_bounds()
    figures = lesson.evaluate(model)
    yield f"The loss of a model that sees only one letter is at least 4 ln 2 / 6 = {best.loss:.5f},"
    yield f"and it predicts at most {best.accuracy * 6:.0f} of 6 letters correctly."
    right = figures["accuracy"] * 6
    yield f"This model, which has no memory: loss {figures['loss']:.5f}, {right:.0f} of 6 correct."


lesson = WordLesson(
    facts=words.SOFTMAX,
    model=Model,
    loss=loss,
    recipe=WordRecipe(learning_rate=0.1, steps=100),
    explain=explain,
)
