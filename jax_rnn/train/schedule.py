"""The steps at which a training reports, evaluates and saves."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

__all__ = ["Schedule", "Span", "spans"]

Span = range
"""Steps of one call of the compiled program, counted from 0."""


class Schedule(NamedTuple):
    """What happens after which step; a call of the program ends before anything happens."""

    steps: int
    steps_per_call: int
    evaluate_every: int
    save_every: int

    def spans(self, start: int) -> list[Span]:
        """The steps of all calls after step ``start``."""
        return list(spans(start, self.steps, self[1:]))

    def evaluates(self, done: int) -> bool:
        """Whether to evaluate after step ``done``: at the end too."""
        return done % self.evaluate_every == 0 or done == self.steps

    def saves(self, done: int) -> bool:
        """Whether to save after step ``done``, even if training goes on."""
        return done % self.save_every == 0


def spans(start: int, stop: int, every: Sequence[int]) -> Iterator[Span]:
    """The steps from ``start`` to ``stop``, split at every multiple of each of ``every``.

    The splits depend only on the step, so that a resumed run makes the same calls as an
    uninterrupted one.
    """
    while start < stop:
        end = min(stop, *(start - start % size + size for size in every))
        yield range(start, end)
        start = end
