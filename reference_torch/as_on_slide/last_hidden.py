"""Taking `hidden[-1]` for what a bidirectional GRU has read.

The name classifier hands `hidden[-1]` to its linear layer. The states of a bidirectional layer are
ordered forward, backward, so the last one is the backward direction alone. With one layer the
forward half of the network is never trained: no gradient reaches it.

Right: `torch.cat([hidden[-2], hidden[-1]], dim=-1)`, and a linear layer of twice the width.
"""

import torch
from torch import nn


def last_hidden(gru: nn.GRU, inputs: torch.Tensor) -> torch.Tensor:
    """The summary (B, H) of the inputs that the classifier works with."""
    _, hidden = gru(inputs)
    return hidden[-1]
