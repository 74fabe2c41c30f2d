"""Transfer of batches to the device: the next ones are read while the device computes."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import numpy as np

from jax_rnn.data.batches import Batches, Repeated, Stream
from jax_rnn.train.mesh import Layout
from jax_rnn.train.program import Span

__all__ = ["Feed", "stacked"]


class Feed(NamedTuple):
    """The data of a training, as arrays on the devices.

    Attributes:
        batches: batches by number.
        layout: the placement of arrays.
        accumulate: number of batches per step.
    """

    batches: Batches
    layout: Layout
    accumulate: int

    @property
    def streaming(self) -> bool:
        """Whether every step has its own batches."""
        return not isinstance(self.batches, Repeated)

    @property
    def tokens(self) -> int:
        """Number of units in a step by which the speed is measured."""
        return self.batches.tokens * self.accumulate

    def __call__(self, calls: Sequence[Span]) -> Iterator[tuple[Span, Any]]:
        """Each span with its batches, stacked, or with the same arrays."""
        if isinstance(self.batches, Repeated):
            arrays = self.batches.arrays
            if self.layout.mesh is not None:
                rows = self.layout.rows(self.batches.size)
                arrays = self.layout.batches(self.batches(0, rows), 0)
            return ((span, arrays) for span in calls)
        return self._ahead(calls)

    def checksum(self, steps: int) -> int | None:
        """Checksum of the batches of the first steps, if they are an iterable's; otherwise None."""
        if isinstance(self.batches, Stream):
            return self.batches.checksum(steps * self.accumulate)
        return None

    def check_same(self, steps: int, expected: int) -> None:
        """Check that the batches of the first steps have this checksum. ValueError otherwise."""
        count = steps * self.accumulate
        if isinstance(self.batches, Stream):
            self.batches(count - 1, slice(0, 0))
        if self.checksum(steps) != expected:
            raise ValueError(
                f"data: expected the same {count} batches that the run was trained on, got others; "
                "use an iterable that returns the same ones each time it is read in a new process. "
                "A DataLoader does with shuffle=False, or with a generator of a fixed seed"
            )

    def _ahead(self, calls: Sequence[Span]) -> Iterator[tuple[Span, Any]]:
        """Stacked batches, read one call ahead: leaves (steps, [accumulate,] B, ...)."""
        with ThreadPoolExecutor(1, "feed") as reader:
            waiting: list[Future[Any]] = [reader.submit(self._read, span) for span in calls[:1]]
            for k, span in enumerate(calls):
                arrays = waiting.pop().result()
                if k + 1 < len(calls):
                    waiting.append(reader.submit(self._read, calls[k + 1]))
                yield span, self.layout.batches(arrays, 1 if self.accumulate == 1 else 2)

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
