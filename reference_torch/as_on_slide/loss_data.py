"""Reading the loss as `loss.data[0]`.

In the torch version of the slide, a loss was a vector with one element. Since torch 0.4 it has no
axes, and indexing it is an IndexError: the slide's training loop fails in its first epoch.

Correct: `loss.item()`.
"""

import torch
from torch.nn import functional as F


def epoch_line() -> str:
    loss = F.cross_entropy(torch.zeros(6, 5), torch.zeros(6, dtype=torch.long))
    return "epoch: %d, loss: %1.3f" % (1, loss.data[0])  # noqa: UP031
