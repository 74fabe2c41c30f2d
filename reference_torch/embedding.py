"""Learned vectors instead of one-hot inputs: Embedding, RNN, Linear.

    e_t = E[x_t]    h_t = tanh(W_ih e_t + b_ih + W_hh h_{t-1} + b_hh)    logits_t = W h_t + b

The slide asks why this trains faster and more stably. At its learning rate of 0.1 it does not: of
200 seeds 182 end at ihello, against 199 with one-hot inputs. Torch draws E from N(0, 1), so a
vector has a norm of about sqrt(10) instead of 1, and the tanh saturates early, where its gradient
is nearly zero: after 5 epochs |h| > 0.95 for 62 % of the units. With vectors scaled by 1/sqrt(10)
it is 18 %, and 198 seeds end at ihello.
"""

import math
from functools import partial
from itertools import islice

import torch
from torch import nn
from torch.nn import functional as F

from reference_torch.ihello import SEEDS
from reference_torch.teaching.training import train
from reference_torch.teaching.words import WordLesson, successes
from rnn_lecture import words
from rnn_lecture.recipe import WordRecipe


class Model(nn.Module):
    def __init__(self, scale: float = 1.0):
        super().__init__()
        self.embedding = nn.Embedding(5, 10)
        self.rnn = nn.RNN(input_size=10, hidden_size=5, batch_first=True)
        self.linear = nn.Linear(5, 5)
        self.scale = scale

    def forward(self, inputs, hidden=None):
        h, hidden = self.rnn(self.scale * self.embedding(inputs), hidden)
        return self.linear(h), hidden


class Direct(nn.Module):
    """No linear layer: logits_t = h_t."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(5, 10)
        self.rnn = nn.RNN(input_size=10, hidden_size=5, batch_first=True)

    def forward(self, inputs, hidden=None):
        return self.rnn(self.embedding(inputs), hidden)


def loss(model, batch):
    logits, _ = model(batch["inputs"])
    return F.cross_entropy(logits.mT, batch["labels"]), {"prediction": logits.argmax(-1)}


def saturated(scale: float, epochs: int, seeds: range) -> float:
    """The share of |h_t| > 0.95 after this number of epochs."""
    shares = []
    for seed in seeds:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = Model(scale)
        for _ in islice(train(lesson, model), epochs):
            pass
        h, _ = model.rnn(scale * model.embedding(torch.tensor(lesson.facts.inputs)))
        shares.append((h.abs() > 0.95).float().mean().item())
    return sum(shares) / len(shares)


def explain(model):
    n = len(SEEDS)
    yield f"It does not train faster at this learning rate. Over {n} seeds:"
    for name, scale in (("E from N(0, 1)", 1.0), ("E / sqrt(10)", 1 / math.sqrt(10))):
        at_first, soon = (saturated(scale, epochs, SEEDS) for epochs in (0, 5))
        count = successes(lesson, partial(Model, scale), SEEDS)
        yield f"  {name:14}  {count} of {n} predict ihello at the end;"
        yield f"  {'':14}  |h| > 0.95: {at_first:.0%} before training, {soon:.0%} after 5 epochs"


lesson = WordLesson(
    facts=words.EMBEDDING,
    model=Model,
    loss=loss,
    recipe=WordRecipe(learning_rate=0.1, steps=100),
    variants={"direct": Direct, "scaled": partial(Model, 1 / math.sqrt(10))},
    explain=explain,
)
