"""What earlier trainings made that the next ones reuse, compiled programs above all."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

__all__ = ["cached"]

KEPT = 32
"""Number of results that are kept: those of at least eight trainings. One needs three (optimizer,
functions, program), a sweep four (optimizer, builder, its size, program). Each holds its loss, and
the objects that the loss closes over."""

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
