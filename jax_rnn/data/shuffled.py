"""Rows of a data set in an order that is reshuffled every epoch."""

from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["Shuffled"]


class Shuffled:
    """Batches of rows, each row once per epoch; an incomplete last batch is dropped.

    This is the usual ``data`` of ``jax_rnn.fit``. A batch depends only on the seed and its number,
    so a resumed run continues with exactly the same batches::

        data = jax_rnn.data.Shuffled({"x": x, "y": y}, batch_size=32, seed=0)
        jax_rnn.fit(model, loss, data, epochs=10, optimizer=optax.adam(1e-3))

    The order of an epoch is ``np.random.default_rng([seed, epoch]).permutation(N)``. With n whole
    batches in an epoch, step k is batch k mod n of epoch k // n. A batch is a dict of the same
    names, each (B, ...).

    Args:
        arrays: dict of name -> array or tensor (N, ...), the same N for all.
        batch_size: int, B, from 1 to N.
        seed: int of at least 0, seed of the orders.

    Attributes:
        size: B.
        per_epoch: batches in an epoch, N // B.
        tokens: elements of a batch's largest array, including padding, the unit of the speed.

    Raises:
        TypeError: not a dict, or numbers of other types.
        ValueError: no arrays; unequal numbers of rows; B below 1 or above N.
    """

    def __init__(self, arrays: Mapping[str, Any], batch_size: int, seed: int):
        if not isinstance(arrays, Mapping):
            raise TypeError(
                f"arrays: expected a dict of arrays, as {{'x': x, 'y': y}}, got "
                f"{type(arrays).__name__}"
            )
        for name, number in (("batch_size", batch_size), ("seed", seed)):
            if isinstance(number, bool) or not isinstance(number, int):
                raise TypeError(f"{name}: expected an int, got {number!r}")
        if seed < 0:
            raise ValueError(f"seed: expected at least 0, got {seed}")
        held = {name: _as_numpy(array) for name, array in arrays.items()}
        counts = {name: len(array) if array.ndim else None for name, array in held.items()}
        if len(set(counts.values())) != 1 or None in counts.values():
            raise ValueError(
                f"arrays: expected the same number of rows in all arrays, got {counts}"
            )
        self.rows = next(len(array) for array in held.values())
        if not 1 <= batch_size <= self.rows:
            raise ValueError(
                f"batch_size: expected 1 to {self.rows}, the number of rows, got {batch_size}"
            )
        self.arrays = held
        self.size = batch_size
        self.seed = seed
        self._order = (-1, np.arange(0))

    @property
    def tokens(self) -> int:
        """Elements of a batch's largest array, padding included."""
        return self.size * max(array[0].size for array in self.arrays.values())

    @property
    def per_epoch(self) -> int:
        """Batches in an epoch."""
        return self.rows // self.size

    def order(self, epoch: int) -> np.ndarray:
        """Row numbers in the order of this epoch, (N,)."""
        known, order = self._order
        if known != epoch:
            order = np.random.default_rng([self.seed, epoch]).permutation(self.rows)
            self._order = epoch, order
        return order

    def __call__(self, step: int, rows: slice) -> dict[str, np.ndarray]:
        """These rows of the batch of this step, counted from 0."""
        epoch, batch = divmod(step, self.per_epoch)
        chosen = self.order(epoch)[batch * self.size :][: self.size][rows]
        return {name: array[chosen] for name, array in self.arrays.items()}


def _as_numpy(array: Any) -> np.ndarray:
    if isinstance(array, np.ndarray | list | tuple):
        return np.asarray(array)
    from jax_rnn.base.typing import as_numpy  # imports JAX

    return as_numpy(array)
