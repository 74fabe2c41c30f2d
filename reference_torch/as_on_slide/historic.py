"""`Variable`, `.data` and `torch.randn((1, 1, 2))`: old, but not wrong.

The slides wrap every tensor in a `Variable`, once needed for gradients. Since torch 0.4 a tensor
can do that itself, and `Variable(x)` returns a plain tensor. The double brackets inside the pair
(h, c) look like a slip; torch takes a shape either way and draws the same numbers.

Today: `torch.randn(1, 1, 2)`, no wrapper, and `detach()` in place of `.data`.
"""

import torch
from torch.autograd import Variable


def hidden() -> tuple[torch.Tensor, torch.Tensor]:
    return Variable(torch.randn(1, 1, 2)), Variable(torch.randn((1, 1, 2)))
