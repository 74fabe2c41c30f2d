"""Transfer of batches to the device: the next ones are read while the device computes."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import jax
import numpy as np

from jax_rnn.train.batches import Batches
from jax_rnn.train.mesh import Layout

__all__ = ["Span", "feed", "spans"]

Span = range
"""Steps of one call of the compiled program, counted from 0."""


def spans(start: int, stop: int, every: Sequence[int]) -> Iterator[Span]:
    """The steps from ``start`` to ``stop``, split at every multiple of each of ``every``.

    The splits depend only on the step, so that a resumed run makes the same calls as an
    uninterrupted one.
    """
    while start < stop:
        end = min(stop, *(start - start % size + size for size in every))
        yield range(start, end)
        start = end


def feed(
    batches: Batches, layout: Layout, calls: Sequence[Span], accumulate: int = 1
) -> Iterator[tuple[Span, Any]]:
    """Each span with its stacked batches: leaves (steps, [accumulate,] B, ...) on the device."""
    rows = layout.rows(batches.size)

    def read(span: Span) -> Any:
        numbers = range(span.start * accumulate, span.stop * accumulate)
        stacked = jax.tree.map(
            lambda *leaves: np.stack(leaves), *(batches(k, rows) for k in numbers)
        )
        if accumulate == 1:
            return stacked
        return jax.tree.map(
            lambda leaf: leaf.reshape(len(span), accumulate, *leaf.shape[1:]), stacked
        )

    with ThreadPoolExecutor(1, "feed") as reader:
        waiting: list[Future[Any]] = [reader.submit(read, span) for span in calls[:1]]
        for k, span in enumerate(calls):
            arrays = waiting.pop().result()
            if k + 1 < len(calls):
                waiting.append(reader.submit(read, calls[k + 1]))
            yield span, layout.batches(arrays, 1 if accumulate == 1 else 2)
