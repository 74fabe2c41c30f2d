"""Bounds on the prediction of the next letter from a given context.

n(c, y) is the number of times that y follows context c, and N is the number of pairs:

    loss     >= -1/N sum_{c, y} n(c, y) log(n(c, y) / n(c))
    accuracy <=  1/N sum_c max_y n(c, y)
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import NamedTuple


class Bounds(NamedTuple):
    loss: float
    accuracy: float


def bounds(pairs: Iterable[tuple[str, str]]) -> Bounds:
    """The lowest mean cross entropy and the highest accuracy over (context, next) pairs."""
    followers: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for context, follower in pairs:
        followers[context][follower] += 1
    N = sum(n.total() for n in followers.values())
    loss = -sum(n[y] * math.log(n[y] / n.total()) for n in followers.values() for y in n) / N
    accuracy = sum(max(n.values()) for n in followers.values()) / N
    return Bounds(loss, accuracy)
