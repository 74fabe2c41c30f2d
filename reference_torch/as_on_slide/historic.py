"""`Variable`, `.data` and `torch.randn((1, 1, 2))`: outdated, but correct.

The slides wrap every tensor in a `Variable`, which used to be required for gradients. Since torch
0.4 this is not needed, and `Variable(x)` returns a plain tensor. The double brackets in the pair
(h, c) are not an error; torch accepts both forms of a shape and draws the same numbers.

Today: `torch.randn(1, 1, 2)`, no wrapper, and `detach()` instead of `.data`.
"""

import torch
from torch.autograd import Variable


def hidden() -> tuple[torch.Tensor, torch.Tensor]:
    return Variable(torch.randn(1, 1, 2)), Variable(torch.randn((1, 1, 2)))
