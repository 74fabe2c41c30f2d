"""Implement the GRU.

    z   = sigmoid(x_t U_z + s_{t-1} W_z)
    r   = sigmoid(x_t U_r + s_{t-1} W_r)
    h   = tanh(x_t U_h + (s_{t-1} * r) W_h)
    s_t = (1 - z) * h + z * s_{t-1}

z has the same meaning as in `nn.GRU`: how much of the old state is kept. r differs: here it is
applied to the state before the product with W_h, in torch to the product,
h = tanh(x_t U_h + r * (s_{t-1} W_h)). So in general the two cannot have equal outputs; they agree
if r is 1.
"""

import copy

import torch
from torch import nn
from torch.nn import functional as F

from reference_torch.teaching.words import WordLesson
from rnn_lecture import words
from rnn_lecture.recipe import WordRecipe


class GRUByHand(nn.Module):
    """One step: x (B, I), s (B, H) -> s (B, H)."""

    def __init__(self, input_size: int, hidden_size: int):
        super().__init__()
        self.hidden_size = hidden_size
        self.U_z = nn.Linear(input_size, hidden_size, bias=False)
        self.W_z = nn.Linear(hidden_size, hidden_size, bias=False)
        self.U_r = nn.Linear(input_size, hidden_size, bias=False)
        self.W_r = nn.Linear(hidden_size, hidden_size, bias=False)
        self.U_h = nn.Linear(input_size, hidden_size, bias=False)
        self.W_h = nn.Linear(hidden_size, hidden_size, bias=False)

    def forward(self, x, s):
        z = torch.sigmoid(self.U_z(x) + self.W_z(s))
        r = torch.sigmoid(self.U_r(x) + self.W_r(s))
        h = torch.tanh(self.U_h(x) + self.W_h(s * r))
        return (1 - z) * h + z * s


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = GRUByHand(input_size=5, hidden_size=5)
        self.linear = nn.Linear(5, 5)

    def states(self, inputs, hidden=None):
        """Every s_t, (B, T, H)."""
        s = inputs.new_zeros(len(inputs), self.cell.hidden_size) if hidden is None else hidden
        states = []
        for x in inputs.unbind(dim=1):
            s = self.cell(x, s)
            states.append(s)
        return torch.stack(states, dim=1)

    def forward(self, inputs, hidden=None):
        s = self.states(inputs, hidden)
        return self.linear(s), s[:, -1]


def loss(model, batch):
    logits, _ = model(batch["inputs"])
    return F.cross_entropy(logits.mT, batch["labels"]), {"prediction": logits.argmax(-1)}


@torch.no_grad()
def as_torch(cell: GRUByHand) -> nn.GRU:
    """The nn.GRU (gates r, z, n) with the same weights and zero biases."""
    gru = nn.GRU(cell.U_h.in_features, cell.hidden_size, bias=False, batch_first=True)
    gru.to(cell.U_h.weight)
    weight_ih = torch.cat([cell.U_r.weight, cell.U_z.weight, cell.U_h.weight])
    weight_hh = torch.cat([cell.W_r.weight, cell.W_z.weight, cell.W_h.weight])
    gru.load_state_dict({"weight_ih_l0": weight_ih, "weight_hh_l0": weight_hh})
    return gru


@torch.no_grad()
def with_open_reset(model: Model) -> Model:
    """A copy with r = 1: for one-hot x the argument of the sigmoid is 40, and sigmoid(40) is 1."""
    model = copy.deepcopy(model)
    model.cell.U_r.weight.fill_(40)
    model.cell.W_r.weight.zero_()
    return model


@torch.no_grad()
def difference(model: Model) -> float:
    """Largest difference between the states of the model and of nn.GRU with its weights."""
    inputs = lesson.batch(model)["inputs"]
    states, _ = as_torch(model.cell)(inputs)
    return (model.states(inputs) - states).abs().max().item()


def explain(model):
    yield f"nn.GRU with these weights: the states differ by up to {difference(model):.1e},"
    yield "because it resets after the product with W_h and the slide before it."
    yield f"With r fixed at 1 they differ by up to {difference(with_open_reset(model)):.1e}:"
    yield "there is no other difference, and z has the same meaning in both."


lesson = WordLesson(
    facts=words.GRU_BY_HAND,
    model=Model,
    loss=loss,
    recipe=WordRecipe(learning_rate=0.1, steps=100),
    explain=explain,
)
