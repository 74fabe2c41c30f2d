"""What several tests share: random arrays, and marks for the two tiers."""

from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np
import pytest

__all__ = ["long", "normal", "some"]

long = pytest.mark.long
"""In the long tier only."""


@cache
def normal(*shape: int, seed: int = 0) -> np.ndarray:
    """Standard normal numbers, float64; the same for the same shape and seed."""
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def some(count: int, cases: Iterable[Any]) -> list[Any]:
    """Cases for ``pytest.mark.parametrize``: the first ``count`` in both tiers, the others long.

    Args:
        count: how many are in the short tier.
        cases: values, tuples of values, or ``pytest.param``.
    """
    return [case if k < count else _long(case) for k, case in enumerate(cases)]


def _long(case: Any) -> Any:
    if hasattr(case, "marks"):
        return pytest.param(*case.values, marks=(*case.marks, long), id=case.id)
    values = case if isinstance(case, tuple) else (case,)
    return pytest.param(*values, marks=long)
