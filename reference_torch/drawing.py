"""Drawing symbols from the logits of a model."""

import math

import torch


def check_sampling(temperature: float, top_k: int | None, length: int) -> None:
    if not (math.isfinite(temperature) and temperature >= 0):
        raise ValueError(f"expected a temperature of at least 0, got {temperature}")
    if top_k is not None and top_k < 1:
        raise ValueError(f"expected a top_k of at least 1, got {top_k}")
    if length < 1:
        raise ValueError(f"expected a length of at least 1, got {length}")


def encode(text: str, symbols: str) -> list[int]:
    unknown = sorted(set(text) - set(symbols))
    if unknown:
        raise ValueError(f"expected only letters of {symbols!r}, got {unknown}")
    return [symbols.index(letter) for letter in text]


def draw(
    logits: torch.Tensor, temperature: float, top_k: int | None, generator: torch.Generator
) -> torch.Tensor:
    """Logits (B, S) -> symbols (B,); with a temperature of 0 the likeliest symbols."""
    if temperature == 0:
        return logits.argmax(dim=-1)
    if top_k is not None and top_k < logits.shape[-1]:
        least = logits.topk(top_k).values[:, -1:]
        logits = logits.masked_fill(logits < least, -math.inf)
    probabilities = ((logits - logits.amax(-1, keepdim=True)) / temperature).softmax(dim=-1)
    return torch.multinomial(probabilities, 1, generator=generator)[:, 0]
