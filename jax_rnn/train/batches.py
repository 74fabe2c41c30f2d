"""What a run is fed: a batch for every step, asked for by its number."""

from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import numpy as np

__all__ = ["Batches", "Repeated"]


@runtime_checkable
class Batches(Protocol):
    """A batch for every step, asked for by number.

    Step k gives the same batch whenever it is asked, so a run that goes on at step k has nothing
    to rewind, and every process of a distributed run reads the rows that it needs and no others.

    Attributes:
        size: B, rows in a batch, over all processes.
        tokens: what a batch is counted as when speed is told, e.g. its characters.
    """

    @property
    def size(self) -> int: ...

    @property
    def tokens(self) -> int: ...

    def __call__(self, step: int, rows: slice) -> Any:
        """Those rows of batch ``step``, counted from 0: a pytree of NumPy arrays, batch first."""
        ...


class Repeated(NamedTuple):
    """The same arrays at every step, whole: full-batch training."""

    arrays: Any

    @property
    def size(self) -> int:
        return max((len(leaf) for leaf in jax.tree.leaves(self.arrays) if np.ndim(leaf)), default=1)

    @property
    def tokens(self) -> int:
        return max((np.size(leaf) for leaf in jax.tree.leaves(self.arrays)), default=1)

    def __call__(self, step: int, rows: slice) -> Any:
        return jax.tree.map(lambda leaf: leaf[rows], self.arrays)
