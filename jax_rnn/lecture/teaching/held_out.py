"""Held-out data in batches of one shape."""

from collections.abc import Iterator, Mapping

import numpy as np

__all__ = ["equal_batches"]


def equal_batches(
    arrays: Mapping[str, np.ndarray], size: int
) -> Iterator[tuple[dict[str, np.ndarray], np.ndarray]]:
    """Batches of ``size`` rows of ``arrays`` in order, each with the weights of its rows.

    All batches have the same shape, so a function is compiled once: the last batch is filled with
    copies of its first row. The weights, float32 (size,), are 1 for rows of the data and 0 for
    copies. Fewer rows than ``size`` make one batch.
    """
    count = len(next(iter(arrays.values())))
    size = min(size, count)
    for start in range(0, count, size):
        rows = np.arange(start, start + size)
        places = np.where(rows < count, rows, start)
        batch = {name: array[places] for name, array in arrays.items()}
        yield batch, (rows < count).astype(np.float32)
