"""Dropout for a GRU of one layer.

The translator's decoder asks `nn.GRU` for dropout. It acts on the outputs of every layer but the
last, and with one layer there is none: torch warns and drops nothing.

Right: an `nn.Dropout` of one's own on the embedding or on the output, or two layers.
"""

import torch
from torch import nn


def decoder(dropout: float) -> nn.GRU:
    return nn.GRU(input_size=4, hidden_size=3, num_layers=1, dropout=dropout)


def training_outputs(gru: nn.GRU, inputs: torch.Tensor) -> torch.Tensor:
    gru.train()
    out, _ = gru(inputs)
    return out
