"""Implement the RNN.

    h_t = W f(h_{t-1}) + W_hx x_t        y_t = W_S f(h_t)        f = tanh

The slide's h is the argument of tanh, torch's h the result. With s_t = f(h_t) the equation is
s_t = tanh(W s_{t-1} + W_hx x_t), which is `nn.RNN` without biases.
"""

import torch
from torch import nn
from torch.nn import functional as F

from reference_torch.teaching.words import WordLesson
from rnn_lecture import words
from rnn_lecture.recipe import WordRecipe

f = torch.tanh


class RNNByHand(nn.Module):
    """One step: input (B, I), hidden (B, H) -> output (B, classes), hidden (B, H)."""

    def __init__(self, input_size: int, hidden_size: int, output_size: int):
        super().__init__()
        self.hidden_size = hidden_size
        self.W = nn.Linear(hidden_size, hidden_size, bias=False)
        self.W_hx = nn.Linear(input_size, hidden_size, bias=False)
        self.W_S = nn.Linear(hidden_size, output_size, bias=False)

    def forward(self, input, hidden):
        hidden = self.W(f(hidden)) + self.W_hx(input)
        output = self.W_S(f(hidden))
        return output, hidden


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = RNNByHand(input_size=5, hidden_size=5, output_size=5)

    def forward(self, inputs, hidden=None):
        h = inputs.new_zeros(len(inputs), self.cell.hidden_size) if hidden is None else hidden
        outputs = []
        for x in inputs.unbind(dim=1):
            y, h = self.cell(x, h)
            outputs.append(y)
        return torch.stack(outputs, dim=1), h


def loss(model, batch):
    logits, _ = model(batch["inputs"])
    return F.cross_entropy(logits.mT, batch["labels"]), {"prediction": logits.argmax(-1)}


@torch.no_grad()
def as_torch(cell: RNNByHand) -> nn.RNN:
    """The nn.RNN with the same weights and zero biases."""
    rnn = nn.RNN(cell.W_hx.in_features, cell.hidden_size, bias=False, batch_first=True)
    rnn.to(cell.W.weight)
    rnn.load_state_dict({"weight_ih_l0": cell.W_hx.weight, "weight_hh_l0": cell.W.weight})
    return rnn


@torch.no_grad()
def explain(model):
    inputs = lesson.batch(model)["inputs"]
    y, h = model(inputs)
    s, _ = as_torch(model.cell)(inputs)
    states = (f(h) - s[:, -1]).abs().max().item()
    outputs = (y - model.cell.W_S(s)).abs().max().item()
    yield "nn.RNN with these weights and no bias gives the same s = tanh(h):"
    yield f"largest difference of the last state {states:.1e}, of the outputs {outputs:.1e}."


lesson = WordLesson(
    facts=words.RNN_BY_HAND,
    model=Model,
    loss=loss,
    recipe=WordRecipe(learning_rate=0.1, steps=100),
    explain=explain,
)
