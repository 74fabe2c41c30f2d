"""Transfer of batches to the device: the next ones are read while the device computes."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import jax
import numpy as np

from jax_rnn.data.batches import Batches, Repeated, Stream
from jax_rnn.train.mesh import Layout
from jax_rnn.train.program import Span

__all__ = ["Feed", "stacked"]


class Feed:
    """The data of a training, as arrays on the devices.

    Args:
        batches: batches by number.
        layout: the placement of arrays.
        accumulate: number of batches per step.

    Attributes:
        streaming: whether every step has its own batches.
        tokens: number of units in a step by which the speed is measured.
    """

    def __init__(self, batches: Batches, layout: Layout, accumulate: int):
        self.batches, self.layout, self.accumulate = batches, layout, accumulate
        self.streaming = not isinstance(batches, Repeated)
        self.tokens = batches.tokens * accumulate
        self._reading: Iterator[Future[Any]] = iter(())
        self._next: Future[Any] | None = None
        self._ready: Any = None

    def __call__(self, calls: Sequence[Span]) -> Iterator[tuple[Span, Any]]:
        """Each span with its batches, stacked, (steps, [accumulate,] B, ...), or the same arrays.

        ``prefetch`` may be called in between.
        """
        if isinstance(self.batches, Repeated):
            arrays = self.batches.arrays
            if self.layout.mesh is not None:
                rows = self.layout.rows(self.batches.size)
                arrays = self.layout.batches(self.batches(0, rows), 0)
            yield from ((span, arrays) for span in calls)
            return
        with ThreadPoolExecutor(1, "feed") as reader:
            self._reading = (reader.submit(self._read, span) for span in calls)
            self._next = next(self._reading, None)
            for span in calls:
                self.prefetch()
                arrays, self._ready = self._ready, None
                yield span, arrays

    def prefetch(self) -> None:
        """Transfer the next batches and begin to read those after them, unless it is done."""
        if self._ready is None and self._next is not None:
            arrays, self._next = self._next.result(), next(self._reading, None)
            self._ready = self.layout.batches(arrays, 1 if self.accumulate == 1 else 2)

    def checksum(self, steps: int) -> int | None:
        """Checksum of the batches of the first steps, if they are an iterable's; otherwise None."""
        count, batches = steps * self.accumulate, self.batches
        return batches.checksum(count) if isinstance(batches, Stream) else None

    def check_same(self, steps: int, expected: int) -> None:
        """Check that the batches of the first steps have this checksum. ValueError otherwise."""
        count = steps * self.accumulate
        if isinstance(self.batches, Stream):
            self.batches(count - 1, slice(0, 0))
        if self.checksum(steps) != expected:
            raise ValueError(
                f"data: expected the {count} batches that the run was trained on, got others; use "
                "an iterable that returns the same batches in every process, such as a DataLoader "
                "with shuffle=False or with a generator of a fixed seed"
            )

    def _read(self, span: Span) -> Any:
        """The rows of this process of all batches of a span."""
        return stacked(self.batches, span, self.accumulate, self.layout.rows(self.batches.size))


def stacked(batches: Batches, span: Span, accumulate: int, rows: slice = slice(None)) -> Any:
    """Rows of the batches of some steps, stacked: leaves (steps, [accumulate,] B, ...)."""
    numbers = range(span.start * accumulate, span.stop * accumulate)
    axes = (len(span),) if accumulate == 1 else (len(span), accumulate)
    return jax.tree.map(
        lambda *leaves: np.stack(leaves).reshape(*axes, *np.shape(leaves[0])),
        *(batches(k, rows) for k in numbers),
    )
