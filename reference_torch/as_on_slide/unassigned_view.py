"""A `view` whose result is not used.

The slide's model calls `x.view(...)` to reshape its input and does not assign the result. A view is
a new tensor and x does not change, so the line only checks the number of elements.

Correct: `x = x.view(...)`, or no such line, since x already has the right shape.
"""

import torch


def reshaped(x: torch.Tensor) -> torch.Tensor:
    """Intended to return x, (B * 6, 5) or (B, 6, 5), as (B, 6, 5)."""
    x.view(-1, 6, 5)
    return x
