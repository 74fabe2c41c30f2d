"""One step of LinOSS-IMEX (T. K. Rusch and D. Rus, 2024)."""

import torch
from torch import nn


class LinOSSCell(nn.Module):
    def __init__(self, input_size: int, hidden_size: int):
        super().__init__()
        self.a = nn.Parameter(torch.rand(hidden_size))
        self.step_size = nn.Parameter(torch.rand(hidden_size))
        self.b = nn.Parameter(torch.randn(hidden_size, input_size))
        self.c = nn.Parameter(torch.randn(input_size, hidden_size))
        self.d = nn.Parameter(torch.randn(input_size))

    def forward(self, x, state):
        velocity, position = state
        stiffness, dt = self.a.relu(), self.step_size.sigmoid()
        velocity = velocity + dt * (x @ self.b.T - stiffness * position)
        position = position + dt * velocity
        return position @ self.c.T + self.d * x, (velocity, position)
