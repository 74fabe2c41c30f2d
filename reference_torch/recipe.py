"""Hyperparameters of the lessons on real data and their implementation in torch."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn


@dataclass(frozen=True)
class Recipe:
    """The same fields with the same defaults as the recipes of the JAX tree."""

    cell: Literal["rnn", "lstm", "gru"] = "gru"
    """Number of recurrent layers."""
    embedding_size: int = 64
    hidden_size: int = 128
    num_layers: int = 1
    dropout: float = 0.0
    """Dropout rate between layers and before the last linear map."""
    batch_size: int = 64
    window: int = 64
    """Steps of text between two truncations of backpropagation."""
    steps: int = 1000
    """Number of optimizer steps."""
    learning_rate: float = 2e-3
    """Peak learning rate of Adam."""
    warmup: int = 0
    """Steps over which the learning rate rises from 0 to its peak."""
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    """Learning rate after the warm-up: constant, or falling to 0."""
    weight_decay: float = 0.0
    clip: float | None = 1.0
    """Maximum global norm of the gradient; None disables clipping."""
    accumulate: int = 1
    """Number of batches whose mean gradient is used for one optimizer step."""
    precision: Literal["float32", "float64", "bfloat16"] = "float32"
    seed: int = 0
    evaluate_every: int = 100
    """Steps between two evaluations on the held-out data."""
    patience: int | None = None
    """Evaluations without a better loss after which training stops."""

    def learning_rate_factor(self, step: int) -> float:
        """Factor in [0, 1] of the learning rate at a step, counted from 0."""
        if step < self.warmup:
            return step / self.warmup
        rest = max(self.steps - self.warmup, 1)
        gone = min((step - self.warmup) / rest, 1.0)
        match self.schedule:
            case "constant":
                return 1.0
            case "linear":
                return 1.0 - gone
            case "cosine":
                return (1.0 + math.cos(math.pi * gone)) / 2

    def optimizer(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.AdamW(parameters, lr=self.learning_rate, weight_decay=self.weight_decay)

    def schedule_of(self, optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LRScheduler:
        return torch.optim.lr_scheduler.LambdaLR(optimizer, self.learning_rate_factor)
