"""Testing the end of the sequence with `is`.

The translator stops when `top_i is EOS_token`. This compares a tensor with an int by identity,
which is never true, so every translation runs to its length limit.

Correct: `top_i.item() == EOS_token`.
"""

import torch

EOS_token = 1


def stops_at(scores: torch.Tensor) -> int:
    """The step of scores (T, vocabulary) at which decoding stops; T if it does not stop."""
    for step, score in enumerate(scores):
        _, top_i = score.topk(1)
        if top_i[0] is EOS_token:
            return step
    return len(scores)
