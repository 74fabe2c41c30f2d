"""Implement the LSTM of torch.

    i  = sigmoid(W_ii x + b_ii + W_hi h + b_hi)
    f  = sigmoid(W_if x + b_if + W_hf h + b_hf)
    g  = tanh   (W_ig x + b_ig + W_hg h + b_hg)
    o  = sigmoid(W_io x + b_io + W_ho h + b_ho)
    c' = f * c + i * g
    h' = o * tanh(c')

The slide "Under the hood: LSTM" ends with four equations of a GRU instead of an LSTM, with z
reversed: on that slide z = 1 takes the new state, in exercise 11-6 and in torch z = 1 keeps the old
state.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.functional import linear

from reference_torch.teaching.words import WordLesson
from rnn_lecture import words
from rnn_lecture.recipe import WordRecipe


class LSTMByHand(nn.Module):
    """One step: x (B, I), state (h, c), each (B, H) -> the next (h, c).

    The rows of the weights are the gates i f g o, in blocks of H rows.
    """

    def __init__(self, input_size: int, hidden_size: int):
        super().__init__()
        self.hidden_size = hidden_size
        self.weight_ih = nn.Parameter(torch.empty(4 * hidden_size, input_size))
        self.weight_hh = nn.Parameter(torch.empty(4 * hidden_size, hidden_size))
        self.bias_ih = nn.Parameter(torch.empty(4 * hidden_size))
        self.bias_hh = nn.Parameter(torch.empty(4 * hidden_size))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -1 / math.sqrt(hidden_size), 1 / math.sqrt(hidden_size))

    def forward(self, x, state):
        h, c = state
        W_ii, W_if, W_ig, W_io = self.weight_ih.chunk(4)
        W_hi, W_hf, W_hg, W_ho = self.weight_hh.chunk(4)
        b_ii, b_if, b_ig, b_io = self.bias_ih.chunk(4)
        b_hi, b_hf, b_hg, b_ho = self.bias_hh.chunk(4)
        i = torch.sigmoid(linear(x, W_ii, b_ii) + linear(h, W_hi, b_hi))
        f = torch.sigmoid(linear(x, W_if, b_if) + linear(h, W_hf, b_hf))
        g = torch.tanh(linear(x, W_ig, b_ig) + linear(h, W_hg, b_hg))
        o = torch.sigmoid(linear(x, W_io, b_io) + linear(h, W_ho, b_ho))
        c = f * c + i * g
        h = o * torch.tanh(c)
        return h, c


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = LSTMByHand(input_size=5, hidden_size=5)
        self.linear = nn.Linear(5, 5)

    def states(self, inputs, hidden=None):
        """Every h_t, (B, T, H), and the last (h, c)."""
        zeros = inputs.new_zeros(len(inputs), self.cell.hidden_size)
        h, c = (zeros, zeros) if hidden is None else hidden
        states = []
        for x in inputs.unbind(dim=1):
            h, c = self.cell(x, (h, c))
            states.append(h)
        return torch.stack(states, dim=1), (h, c)

    def forward(self, inputs, hidden=None):
        h, hidden = self.states(inputs, hidden)
        return self.linear(h), hidden


def loss(model, batch):
    logits, _ = model(batch["inputs"])
    return F.cross_entropy(logits.mT, batch["labels"]), {"prediction": logits.argmax(-1)}


@torch.no_grad()
def as_torch(cell: LSTMByHand) -> nn.LSTM:
    """The nn.LSTM with the same weights."""
    lstm = nn.LSTM(cell.weight_ih.shape[1], cell.hidden_size, batch_first=True)
    lstm.to(cell.weight_ih)
    lstm.load_state_dict({f"{name}_l0": value for name, value in cell.state_dict().items()})
    return lstm


@torch.no_grad()
def explain(model):
    inputs = lesson.batch(model)["inputs"]
    by_hand, (_, c) = model.states(inputs)
    states, (_, c_torch) = as_torch(model.cell)(inputs)
    h_differs = (by_hand - states).abs().max().item()
    c_differs = (c - c_torch[0]).abs().max().item()
    yield f"nn.LSTM with these weights: h differs by up to {h_differs:.1e}, c by {c_differs:.1e}."
    yield "The equations on the slide 'Under the hood: LSTM' are those of a GRU, with z reversed."


lesson = WordLesson(
    facts=words.LSTM_BY_HAND,
    model=Model,
    loss=loss,
    recipe=WordRecipe(learning_rate=0.1, steps=100),
    explain=explain,
)
