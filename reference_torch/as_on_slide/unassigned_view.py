"""A `view` whose result is thrown away.

The slide's model calls `x.view(...)` to reshape its input and does not assign it. A view is a new
tensor and x stays as it was, so the line does nothing but check the number of elements.

Right: `x = x.view(...)`, or, since x has the right shape already, no line at all.
"""

import torch


def reshaped(x: torch.Tensor) -> torch.Tensor:
    """Meant to return x, (B * 6, 5) or (B, 6, 5), as (B, 6, 5)."""
    x.view(-1, 6, 5)
    return x
