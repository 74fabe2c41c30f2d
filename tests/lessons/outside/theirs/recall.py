"""Recall the first symbol of a sequence, in PyTorch."""

import torch
from rnn_lecture.recall_facts import RecallFacts
from torch import nn
from torch.nn import functional as F

from reference_torch.teaching.lesson import Lesson, tensors

LAYERS = {"rnn": nn.RNN, "gru": nn.GRU}


class Model(nn.Module):
    def __init__(self, cell, symbols, hidden_size):
        super().__init__()
        self.embedding = nn.Embedding(symbols, 4)
        self.rnn = LAYERS[cell](4, hidden_size, batch_first=True)
        self.linear = nn.Linear(hidden_size, symbols)

    def forward(self, inputs):
        h, _ = self.rnn(self.embedding(inputs))
        return self.linear(h[:, -1])


class Recall(RecallFacts, Lesson):
    def build(self, recipe, vocabulary):
        return Model(recipe.cell, len(vocabulary["symbols"]), recipe.hidden_size)

    def loss(self, model, batch, hidden=None):
        return F.cross_entropy(model(batch["inputs"]), batch["labels"]), {}, None

    @torch.no_grad()
    def evaluate(self, model, data):
        loss, _, _ = self.loss(model, tensors(data.held_out, model))
        return {"loss": loss.item()}


lesson = Recall()
