"""One step of the mLSTM (M. Beck et al., 2024)."""

import torch
from torch import nn
from torch.nn.functional import logsigmoid


class MLSTMCell(nn.Module):
    def __init__(self, input_size: int, hidden_size: int, heads: int = 1):
        super().__init__()
        self.shape = (heads, hidden_size // heads)
        self.weight_ih = nn.Parameter(torch.randn(4 * hidden_size, input_size))
        self.bias_ih = nn.Parameter(torch.randn(4 * hidden_size))
        self.weight_gates = nn.Parameter(torch.randn(2 * heads, input_size))
        self.bias_gates = nn.Parameter(torch.randn(2 * heads))

    def forward(self, x, state):
        c, n, m = state
        q, k, v, o = (x @ self.weight_ih.T + self.bias_ih).chunk(4, -1)
        q, k, v = (part.unflatten(-1, self.shape) for part in (q, k, v))
        k = k / self.shape[1] ** 0.5
        i, f = (x @ self.weight_gates.T + self.bias_gates).chunk(2, -1)
        kept = logsigmoid(f) + m
        m = torch.maximum(kept, i)
        i, f = (i - m).exp()[..., None], (kept - m).exp()[..., None]
        c = f[..., None] * c + i[..., None] * torch.einsum("...k,...v->...kv", k, v)
        n = f * n + i * k
        scale = torch.maximum((n * q).sum(-1).abs(), (-m).exp()) + 1e-6
        y = torch.einsum("...kv,...k->...v", c, q) / scale[..., None]
        return o.sigmoid() * y.flatten(-2), (c, n, m)
