"""One step of the parity ladder: names or arrays of two models, compared."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Part", "Rung", "compared", "listed", "numbered"]

Part = tuple[str, np.ndarray, np.ndarray]
"""A name, and the arrays of both models."""


@dataclass(frozen=True)
class Rung:
    """One step of the ladder.

    Attributes:
        name: what was compared.
        passed: whether the two agree.
        difference: the largest difference; None if nothing is measured.
        tolerance: the allowed difference.
        detail: the result in words.
    """

    name: str
    passed: bool
    difference: float | None
    tolerance: float | None
    detail: str


def listed(name: str, faults: list[str], fine: str) -> Rung:
    """A rung that passes if there are no faults."""
    return Rung(name, not faults, None, None, "; ".join(faults) or fine)


def numbered(name: str, ours: Sequence[np.ndarray], theirs: Sequence[np.ndarray]) -> list[Part]:
    return [(f"{name} {k}", a, b) for k, (a, b) in enumerate(zip(ours, theirs, strict=True))]


def compared(
    name: str,
    parts: list[Part],
    titles: tuple[str, str],
    tolerance: float,
    time_axis: int | None,
) -> Rung:
    """A rung that passes if all arrays are equal within the tolerance.

    Args:
        name: what is compared.
        parts: the arrays.
        titles: names of the models, for messages.
        tolerance: allowed difference, relative to the largest number of an array, at least 1.
        time_axis: axis of which the first step that differs is reported; None for no axis.
    """
    worst = 0.0
    for part, ours, theirs in parts:
        if ours.shape != theirs.shape:
            detail = f"{part} has shape {ours.shape} in {titles[0]}, {theirs.shape} in {titles[1]}"
            return Rung(name, False, None, tolerance, detail)
        gap = np.abs(ours - theirs)
        gap = np.where(np.isnan(gap), np.inf, gap)
        allowed = tolerance * max(1.0, float(np.abs(theirs).max(initial=0)))
        if gap.size and gap.max() > allowed:
            detail = _first_fault(part, titles, ours, theirs, gap, allowed, time_axis)
            return Rung(name, False, float(gap.max()), tolerance, detail)
        worst = max(worst, float(gap.max(initial=0)))
    detail = f"{len(parts)} compared, largest difference {worst:.1e}" if parts else "none"
    return Rung(name, True, worst, tolerance, detail)


def _first_fault(
    part: str,
    titles: tuple[str, str],
    ours: np.ndarray,
    theirs: np.ndarray,
    gap: np.ndarray,
    tolerance: float,
    time_axis: int | None,
) -> str:
    """The largest difference in the first time step that differs, or of all elements."""
    where = "at"
    candidates = gap
    if time_axis is not None and gap.ndim > time_axis + 1:
        others = tuple(axis for axis in range(gap.ndim) if axis != time_axis)
        step = int(np.argmax((gap > tolerance).any(others)))
        mask = np.arange(gap.shape[time_axis]) == step
        shape = [-1 if axis == time_axis else 1 for axis in range(gap.ndim)]
        candidates = np.where(mask.reshape(shape), gap, -1.0)
        where = f"first at time step {step}, with the largest difference at"
    index = tuple(int(i) for i in np.unravel_index(np.argmax(candidates), gap.shape))
    return (
        f"{part} differs {where} index {index}: {titles[0]} {ours[index]:.9g}, {titles[1]} "
        f"{theirs[index]:.9g}, difference {gap[index]:.1e}, allowed {tolerance:.1e}; "
        f"{(gap > tolerance).sum()} of {gap.size} numbers differ by more"
    )
