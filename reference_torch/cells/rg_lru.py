"""One step of the real-gated linear recurrent unit (S. De et al., 2024)."""

import torch
from torch import nn
from torch.nn.functional import softplus


class RGLRUCell(nn.Module):
    def __init__(self, hidden_size: int, heads: int = 1):
        super().__init__()
        self.heads = heads
        self.weight_ih = nn.Parameter(torch.randn(2 * hidden_size, hidden_size // heads))
        self.bias_ih = nn.Parameter(torch.randn(2 * hidden_size))
        self.a_param = nn.Parameter(torch.randn(hidden_size))

    def forward(self, x, state):
        (h,) = state
        weights = [torch.block_diag(*w.chunk(self.heads)) for w in self.weight_ih.chunk(2)]
        r, i = (x @ torch.cat(weights).T + self.bias_ih).sigmoid().chunk(2, -1)
        a = (-8 * r * softplus(self.a_param)).exp()
        h = a * h + (1 - a**2).sqrt() * i * x
        return h, (h,)
