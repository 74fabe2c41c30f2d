"""The functions and compiled programs of earlier calls of ``fit`` and ``fit_seeds``."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

__all__ = ["cached"]

KEPT = 16
"""Number of results that are kept, of which a training needs two. Each holds its loss, and the
objects that the loss closes over."""

ResultT = TypeVar("ResultT")


def cached(make: Callable[..., ResultT], *arguments: Any) -> ResultT:
    """``make(*arguments)``, or the result of an earlier call with equal arguments.

    Arguments without a hash, for example a loss that is an object with its own equality, are equal
    to no others.
    """
    try:
        hash(arguments)
    except TypeError:
        return make(*arguments)
    return _cached(make, *arguments)


@lru_cache(maxsize=KEPT)
def _cached(make: Callable[..., ResultT], *arguments: Any) -> ResultT:
    return make(*arguments)
