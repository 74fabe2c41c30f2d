"""The initial state with its axes in the wrong order.

The slide's model creates h_0 as (batch, layers, hidden). Torch expects (layers * directions, batch,
hidden), also with `batch_first=True`, which affects inputs and outputs only. On the slide, batch
and layers are both 1, so the error has no effect; with a batch of 3 torch raises an error. If batch
and layers are equal, there is no error, and a state other than zeros is assigned to the wrong rows.

Correct: `torch.zeros(layers, batch, hidden)`, or no state, which means zeros.
"""

import torch
from torch import nn


def outputs(batch: int, layers: int = 1) -> torch.Tensor:
    rnn = nn.RNN(input_size=5, hidden_size=5, num_layers=layers, batch_first=True)
    inputs = torch.zeros(batch, 6, 5)
    h_0 = torch.zeros(batch, layers, 5)
    out, _ = rnn(inputs, h_0)
    return out
