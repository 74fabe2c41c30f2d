"""Recall the first symbol of a sequence, in PyTorch."""

from dataclasses import replace

import torch
from rnn_lecture.recall_facts import RECALL
from torch import nn
from torch.nn import functional as F

from reference_torch.teaching.lesson import DataSetLesson, tensors
from reference_torch.teaching.parts import recurrent
from rnn_lecture.recipe import Recipe


class Model(nn.Module):
    def __init__(self, cell, symbols, embedding_size, hidden_size, num_layers, dropout=0.0):
        super().__init__()
        self.embedding = nn.Embedding(symbols, embedding_size)
        self.rnn = recurrent(cell, embedding_size, hidden_size, num_layers, dropout)
        self.linear = nn.Linear(hidden_size, symbols)

    def forward(self, inputs):
        h, _ = self.rnn(self.embedding(inputs))
        return self.linear(h[:, -1])


def loss(model, batch):
    return F.cross_entropy(model(batch["inputs"]), batch["labels"]), {}


@torch.no_grad()
def evaluate(model, data):
    return {"loss": loss(model, tensors(data.held_out, model))[0].item()}


RECIPE = Recipe(
    embedding_size=4, hidden_size=7, batch_size=6, steps=8, learning_rate=0.02, evaluate_every=4
)

lesson = DataSetLesson(
    facts=RECALL,
    model=Model,
    loss=loss,
    evaluate=evaluate,
    recipe=RECIPE,
    presets={"rnn": replace(RECIPE, cell="rnn", learning_rate=2e-3)},
)
