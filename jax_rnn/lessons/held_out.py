"""Held-out data, cut into batches of one shape."""

from collections.abc import Iterator, Mapping

import numpy as np

__all__ = ["equal_batches"]


def equal_batches(
    arrays: Mapping[str, np.ndarray], size: int
) -> Iterator[tuple[dict[str, np.ndarray], np.ndarray]]:
    """Rows of ``arrays`` in their order, ``size`` at a time, and how often each of them counts.

    A function compiled for the first batch serves all of them: the last is filled up with copies
    of its first row. The second part, float32 (size,), is 1 for a row of the data and 0 for such a
    copy. With fewer rows than ``size`` there is one batch, of all rows.
    """
    count = len(next(iter(arrays.values())))
    size = min(size, count)
    for start in range(0, count, size):
        rows = np.arange(start, start + size)
        places = np.where(rows < count, rows, start)
        batch = {name: array[places] for name, array in arrays.items()}
        yield batch, (rows < count).astype(np.float32)
