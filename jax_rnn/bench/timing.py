"""Time alternating calls."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

__all__ = ["Times", "interleave", "timed"]

T = TypeVar("T")

TURN = 0.003
"""Minimum seconds of a measurement; a shorter call is repeated."""

PATIENCE = 20
"""Multiple of the requested seconds after which no further round starts."""

SETTLE = 0.005
"""Pause between measurements, in which the threads of the previous library stop spinning."""


@dataclass(frozen=True)
class Times:
    """Seconds of a call, one entry per round."""

    seconds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def minimum(self) -> float:
        return min(self.seconds)

    def divided(self, count: int) -> "Times":
        """Seconds of one of ``count`` items of a call."""
        return Times([seconds / count for seconds in self.seconds])


def timed(call: Callable[[], T]) -> tuple[float, T]:
    """Seconds of a call, and its result."""
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def interleave(
    calls: Mapping[str, Callable[[], object]],
    *,
    seconds: float,
    least_rounds: int = 5,
    most_rounds: int = 200,
) -> dict[str, Times]:
    """Time calls that are finished when they return, each once per round.

    Every round starts with another call, and every measurement follows a warm-up call, so that
    drifts affect all calls equally. Run each call once before if its first call compiles.

    Args:
        calls: calls by name.
        seconds: approximate time for each call.
        least_rounds, most_rounds: bounds of the number of rounds. There are fewer if the minimum
            would take many times the requested seconds.
    """
    names = list(calls)
    found = {name: Times() for name in names}
    repeats = {name: _repeats(calls[name]) for name in names}
    start = time.perf_counter()
    for k in range(most_rounds if names else 0):
        spent = (time.perf_counter() - start) / (seconds * len(names))
        if (k >= least_rounds and spent > 1) or (k > 0 and spent > PATIENCE):
            break
        for name in names[k % len(names) :] + names[: k % len(names)]:
            call, count = calls[name], repeats[name]
            time.sleep(SETTLE)
            call()
            begun = time.perf_counter()
            for _ in range(count):
                call()
            found[name].seconds.append((time.perf_counter() - begun) / count)
    return found


def _repeats(call: Callable[[], object]) -> int:
    once, _ = timed(call)
    if once < TURN:
        once = min(once, timed(call)[0])
    return max(1, round(TURN / once))
