"""One step of the sLSTM (M. Beck et al., 2024)."""

import torch
from torch import nn
from torch.nn.functional import logsigmoid


class SLSTMCell(nn.Module):
    def __init__(self, input_size: int, hidden_size: int, heads: int = 1):
        super().__init__()
        self.heads = heads
        self.weight_ih = nn.Parameter(torch.randn(4 * hidden_size, input_size))
        self.weight_hh = nn.Parameter(torch.randn(4 * hidden_size, hidden_size // heads))
        self.bias_ih = nn.Parameter(torch.randn(4 * hidden_size))
        self.bias_hh = nn.Parameter(torch.randn(4 * hidden_size))

    def forward(self, x, state):
        h, c, n, m = state
        weights = self.weight_hh.chunk(4)
        hidden = torch.cat([h @ torch.block_diag(*w.chunk(self.heads)).T for w in weights], -1)
        i, f, z, o = (x @ self.weight_ih.T + self.bias_ih + hidden + self.bias_hh).chunk(4, -1)
        kept = torch.where(n == 0, -torch.inf, logsigmoid(f) + m)
        m = torch.maximum(kept, i)
        i, f = (i - m).exp(), (kept - m).exp()
        c, n = f * c + i * z.tanh(), f * n + i
        h = o.sigmoid() * c / n
        return h, (h, c, n, m)
