"""Parts that the programs of several lessons share."""

import math

import torch
from torch import nn

from rnn_lecture.sampling import Sampling


def recurrent(cell, input_size, hidden_size, num_layers=1, dropout=0.0, **options) -> nn.RNNBase:
    """Recurrent layers of a kind, "rnn", "lstm" or "gru", with dropout between them."""
    layer = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[cell]
    dropout = dropout if num_layers > 1 else 0.0
    return layer(input_size, hidden_size, num_layers, batch_first=True, dropout=dropout, **options)


def sample(logits: torch.Tensor, sampling: Sampling, generator: torch.Generator) -> torch.Tensor:
    """Logits (B, S) -> symbols (B,); with a temperature of 0 the likeliest symbols."""
    temperature, top_k = sampling.temperature, sampling.top_k
    if temperature == 0:
        return logits.argmax(dim=-1)
    if top_k is not None and top_k < logits.shape[-1]:
        least = logits.topk(top_k).values[:, -1:]
        logits = logits.masked_fill(logits < least, -math.inf)
    probabilities = ((logits - logits.amax(-1, keepdim=True)) / temperature).softmax(dim=-1)
    return torch.multinomial(probabilities, 1, generator=generator)[:, 0]
