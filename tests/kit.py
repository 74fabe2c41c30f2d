"""What several tests share: random arrays, and marks for the two tiers."""

from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np
import pytest

__all__ = ["cases", "long", "normal"]

long = pytest.mark.long
"""In the long tier only."""


@cache
def normal(*shape: int, seed: int = 0) -> np.ndarray:
    """Standard normal numbers, float64; the same for the same shape and seed."""
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def cases(
    names: str | tuple[str, ...], values: Iterable[Any], *, short: int, **options: Any
) -> Any:
    """``pytest.mark.parametrize`` whose first ``short`` cases are in both tiers, the others long.

    Args:
        names: of the arguments, as for ``parametrize``.
        values: one a case, or tuples of them where there are several names, or ``pytest.param``.
        short: how many cases the short tier runs.
        options: further ones of ``parametrize``.
    """
    several = not isinstance(names, str) or "," in names
    chosen = [value if k < short else _long(value, several) for k, value in enumerate(values)]
    return pytest.mark.parametrize(names, chosen, **options)


def _long(value: Any, several: bool) -> Any:
    if hasattr(value, "marks"):
        return pytest.param(*value.values, marks=(*value.marks, long), id=value.id)
    return pytest.param(*(value if several else (value,)), marks=long)
