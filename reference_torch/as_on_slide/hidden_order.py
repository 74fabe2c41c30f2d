"""The initial state with its axes in the wrong order.

The slide's model makes h_0 as (batch, layers, hidden). Torch wants (layers * directions, batch,
hidden), also with `batch_first=True`, which turns inputs and outputs only. The slide's batch and
layers are both 1, so nothing shows; with a batch of 3 torch refuses. Where batch and layers happen
to be equal the wrong order passes in silence, and any state but zeros ends up in the wrong places.

Right: `torch.zeros(layers, batch, hidden)`, or no state at all, which means zeros.
"""

import torch
from torch import nn


def outputs(batch: int, layers: int = 1) -> torch.Tensor:
    rnn = nn.RNN(input_size=5, hidden_size=5, num_layers=layers, batch_first=True)
    inputs = torch.zeros(batch, 6, 5)
    h_0 = torch.zeros(batch, layers, 5)
    out, _ = rnn(inputs, h_0)
    return out
