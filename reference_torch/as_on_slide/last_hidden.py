"""Using only `hidden[-1]` of a bidirectional GRU.

The name classifier passes `hidden[-1]` to its linear layer. The states of a bidirectional layer are
ordered forward, backward, so the last one is only the backward direction. With one layer, the
forward direction gets no gradient and is not trained.

Correct: `torch.cat([hidden[-2], hidden[-1]], dim=-1)`, and a linear layer of twice the width.
"""

import torch
from torch import nn


def last_hidden(gru: nn.GRU, inputs: torch.Tensor) -> torch.Tensor:
    """The summary (B, H) of the inputs that the classifier uses."""
    _, hidden = gru(inputs)
    return hidden[-1]
