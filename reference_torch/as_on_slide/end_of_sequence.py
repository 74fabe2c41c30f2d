"""Asking whether the predicted token `is` the end of the sequence.

The translator stops when `top_i is EOS_token`. The one is a tensor and the other an int, two
objects always, so the test is never true and every translation runs to its length limit.

Right: `top_i.item() == EOS_token`.
"""

import torch

EOS_token = 1


def stops_at(scores: torch.Tensor) -> int:
    """The step of scores (T, vocabulary) at which decoding stops; T if it never does."""
    for step, score in enumerate(scores):
        _, top_i = score.topk(1)
        if top_i[0] is EOS_token:
            return step
    return len(scores)
