"""Dropout for a GRU of one layer.

The translator's decoder passes `dropout` to `nn.GRU`. It is applied to the outputs of every layer
except the last, so with one layer it has no effect: torch warns and drops nothing.

Correct: a separate `nn.Dropout` on the embedding or the output, or two layers.
"""

import torch
from torch import nn


def decoder(dropout: float) -> nn.GRU:
    return nn.GRU(input_size=4, hidden_size=3, num_layers=1, dropout=dropout)


def training_outputs(gru: nn.GRU, inputs: torch.Tensor) -> torch.Tensor:
    gru.train()
    out, _ = gru(inputs)
    return out
