"""Drawing symbols from the logits of a model."""

import math

import torch

from rnn_lecture.sampling import Sampling


def draw(logits: torch.Tensor, sampling: Sampling, generator: torch.Generator) -> torch.Tensor:
    """Logits (B, S) -> symbols (B,); with a temperature of 0 the likeliest symbols."""
    temperature, top_k = sampling.temperature, sampling.top_k
    if temperature == 0:
        return logits.argmax(dim=-1)
    if top_k is not None and top_k < logits.shape[-1]:
        least = logits.topk(top_k).values[:, -1:]
        logits = logits.masked_fill(logits < least, -math.inf)
    probabilities = ((logits - logits.amax(-1, keepdim=True)) / temperature).softmax(dim=-1)
    return torch.multinomial(probabilities, 1, generator=generator)[:, 0]
