"""One step of the layer-norm LSTM (J. L. Ba et al., 2016)."""

import torch
from torch import nn
from torch.nn.functional import layer_norm


class LayerNormLSTMCell(nn.Module):
    def __init__(self, input_size: int, hidden_size: int):
        super().__init__()
        self.hidden_size = hidden_size
        self.weight_ih = nn.Parameter(torch.randn(4 * hidden_size, input_size))
        self.weight_hh = nn.Parameter(torch.randn(4 * hidden_size, hidden_size))
        self.gain_ih = nn.Parameter(torch.ones(4 * hidden_size))
        self.gain_hh = nn.Parameter(torch.ones(4 * hidden_size))
        self.gain_c = nn.Parameter(torch.ones(hidden_size))
        self.bias_gates = nn.Parameter(torch.zeros(4 * hidden_size))
        self.bias_c = nn.Parameter(torch.zeros(hidden_size))

    def forward(self, x, state):
        h, c = state
        size = (4 * self.hidden_size,)
        gates = layer_norm(x @ self.weight_ih.T, size, self.gain_ih, self.bias_gates)
        gates = gates + layer_norm(h @ self.weight_hh.T, size, self.gain_hh)
        i, f, g, o = gates.chunk(4, -1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * layer_norm(c, c.shape[-1:], self.gain_c, self.bias_c).tanh()
        return h, (h, c)
