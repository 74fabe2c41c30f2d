"""Rows of a data set in an order shuffled anew each epoch."""

from collections.abc import Mapping

import numpy as np

__all__ = ["Shuffled"]


class Shuffled:
    """Batches of rows, each row once an epoch; an incomplete last batch is dropped.

    The order of an epoch is ``np.random.default_rng([seed, epoch]).permutation(N)``. With n whole
    batches in an epoch, step k is batch k mod n of epoch k // n.

    Args:
        arrays: name -> (N, ...), the same N for all.
        batch_size: B.
        seed: of the orders.

    A batch is a dict of the same names, each (B, ...), or as many rows as were asked for.

    Raises:
        ValueError: no arrays; unequal numbers of rows; B below 1 or above N.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], batch_size: int, seed: int):
        counts = {name: len(array) for name, array in arrays.items()}
        if len(set(counts.values())) != 1:
            raise ValueError(f"arrays: expected the same number of rows in all, got {counts}")
        self.rows = next(iter(counts.values()))
        if not 1 <= batch_size <= self.rows:
            raise ValueError(
                f"batch_size: expected 1 to {self.rows}, the rows that there are, got {batch_size}"
            )
        self.arrays = dict(arrays)
        self.size = batch_size
        self.seed = seed
        self._order = (-1, np.arange(0))

    @property
    def tokens(self) -> int:
        """Entries of a batch's largest array, padding among them."""
        return self.size * max(array[0].size for array in self.arrays.values())

    @property
    def per_epoch(self) -> int:
        return self.rows // self.size

    def order(self, epoch: int) -> np.ndarray:
        """Row numbers in the order of that epoch, (N,)."""
        known, order = self._order
        if known != epoch:
            order = np.random.default_rng([self.seed, epoch]).permutation(self.rows)
            self._order = epoch, order
        return order

    def __call__(self, step: int, rows: slice) -> dict[str, np.ndarray]:
        epoch, batch = divmod(step, self.per_epoch)
        chosen = self.order(epoch)[batch * self.size :][: self.size][rows]
        return {name: array[chosen] for name, array in self.arrays.items()}
