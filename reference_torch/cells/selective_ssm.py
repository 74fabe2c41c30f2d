"""One step of the selective state space model (A. Gu and T. Dao, 2023)."""

import torch
from torch import nn
from torch.nn.functional import softplus


class SelectiveSSMCell(nn.Module):
    def __init__(self, hidden_size: int, state_size: int = 16, rank: int = 1):
        super().__init__()
        self.sizes = [rank, state_size, state_size]
        self.weight_x = nn.Parameter(torch.randn(rank + 2 * state_size, hidden_size))
        self.weight_step = nn.Parameter(torch.randn(hidden_size, rank))
        self.bias_step = nn.Parameter(torch.randn(hidden_size))
        self.a_log = nn.Parameter(torch.randn(hidden_size, state_size))
        self.d = nn.Parameter(torch.ones(hidden_size))

    def forward(self, x, state):
        (h,) = state
        step, b, c = (x @ self.weight_x.T).split(self.sizes, -1)
        step = softplus(step @ self.weight_step.T + self.bias_step)
        decay = (-self.a_log.exp() * step[..., None]).exp()
        h = decay * h + (step * x)[..., None] * b[..., None, :]
        return torch.einsum("...hn,...n->...h", h, c) + self.d * x, (h,)
