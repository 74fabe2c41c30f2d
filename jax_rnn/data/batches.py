"""Training data: batches by the number of the step."""

import zlib
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import chain, count
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import numpy as np

from jax_rnn.base.typing import as_numpy

__all__ = ["Batches", "Repeated", "Stream", "as_batches"]


@runtime_checkable
class Batches(Protocol):
    """Batches by the number of the step.

    Step k always returns the same batch, so a run can be resumed at step k without reading earlier
    batches, and every process of a distributed run reads only its own rows. With an attribute
    ``per_epoch``, the number of batches in an epoch, ``fit`` accepts ``epochs=``.

    Attributes:
        size: B, number of rows in a batch, over all processes.
        tokens: number of units in a batch by which the speed is measured, e.g. characters.
    """

    @property
    def size(self) -> int: ...

    @property
    def tokens(self) -> int: ...

    def __call__(self, step: int, rows: slice) -> Any:
        """These rows of batch ``step``, counted from 0: a pytree of NumPy arrays, batch first."""
        ...


class Repeated(NamedTuple):
    """The same arrays at every step, complete: full-batch training."""

    arrays: Any

    @property
    def size(self) -> int:
        return max((len(leaf) for leaf in jax.tree.leaves(self.arrays) if np.ndim(leaf)), default=1)

    @property
    def tokens(self) -> int:
        return max((np.size(leaf) for leaf in jax.tree.leaves(self.arrays)), default=1)

    @property
    def per_epoch(self) -> int:
        return 1

    def __call__(self, step: int, rows: slice) -> Any:
        return jax.tree.map(lambda leaf: leaf[rows], self.arrays)


class Stream:
    """Any iterable of batches, for example a torch ``DataLoader``, read once per epoch.

    Tensors become NumPy arrays. All batches have the shapes of the first; a last batch of an epoch
    with fewer rows is skipped. To start at step k, the first k batches are read and dropped.

    Args:
        source: iterable of batches, pytrees of arrays with the batch axis first; it is iterated
            several times.

    Raises:
        ValueError: no batch, or batches of different shapes.
    """

    KEPT = 10_000
    """Number of the latest batches whose checksums are kept."""

    def __init__(self, source: Iterable[Any]):
        self.source = source
        self._begin()
        first = next(self._batches)
        self._batches = chain([first], self._batches)
        leaves = jax.tree.leaves(first)
        self.size: int = len(leaves[0])
        self.tokens: int = max(leaf.size for leaf in leaves)

    @cached_property
    def per_epoch(self) -> int:
        """Number of complete batches in an epoch, counted by reading one epoch."""
        complete = sum(1 for _ in self._epoch())
        self._begin()
        return complete

    def checksum(self, step: int) -> int | None:
        """Checksum of all batches before this step; None if they were not read."""
        return 0 if step == 0 else self._sums.get(step - 1)

    def __call__(self, step: int, rows: slice) -> Any:
        if step < self._step:
            self._begin()
        batch = None
        while self._step <= step:
            batch = next(self._batches)
            self._sum = _checksum(batch, self._sum)
            self._sums[self._step] = self._sum
            self._sums.pop(self._step - self.KEPT, None)
            self._step += 1
        return jax.tree.map(lambda leaf: leaf[rows], batch)

    def _begin(self) -> None:
        self._step, self._sum = 0, 0
        self._sums: dict[int, int] = {}
        self._shapes: Any = None
        self._batches = chain.from_iterable(self._epoch() for _ in count())

    def _epoch(self) -> Iterator[Any]:
        complete, shorter = 0, None
        for given in self.source:
            batch = jax.tree.map(_as_array, given)
            shapes = jax.tree.map(np.shape, batch)
            if self._shapes is None:
                self._check_first(batch)
                self._shapes = shapes
            if shorter is not None or shapes != self._shapes:
                if shorter is not None or not _is_shorter(shapes, self._shapes):
                    raise ValueError(
                        f"data: expected all batches of an epoch to have the shapes of the first, "
                        f"{self._shapes}, got {shapes if shorter is None else shorter}; pad them"
                    )
                shorter = shapes
                continue
            complete += 1
            yield batch
        if not complete:
            raise ValueError("data: expected an iterable of batches, got no batch")

    @staticmethod
    def _check_first(batch: Any) -> None:
        leaves = jax.tree.leaves(batch)
        if not leaves or any(not np.ndim(leaf) or leaf.dtype.kind in "OUS" for leaf in leaves):
            raise ValueError(
                "data: expected batches of numbers with the batch axis first, got arrays of "
                f"{[(str(leaf.dtype), leaf.shape) for leaf in leaves]}"
            )


def as_batches(data: Any) -> Batches:
    """The data of ``fit`` as batches: the same arrays at every step, or one batch per step.

    Raises:
        TypeError: a generator, which can be read only once; a function; a data set without batches.
        ValueError: no batch, or no array.
    """
    if isinstance(data, Batches):
        return data
    if isinstance(data, str | bytes) or callable(data):
        raise TypeError(
            f"data: expected arrays, jax_rnn.data.Shuffled or an iterable of batches, got "
            f"{type(data).__name__}"
        )
    if hasattr(data, "__next__"):
        raise TypeError(
            f"data: expected batches that can be read again, got {type(data).__name__}, which can "
            "be read once; pass a list, a class with __iter__, or jax_rnn.data.Shuffled"
        )
    if _is_torch_dataset(data):
        raise TypeError(
            "data: expected batches, got a torch Dataset, which gives single rows; wrap it in "
            "torch.utils.data.DataLoader(data, batch_size=...)"
        )
    if not jax.tree.leaves(data):
        raise ValueError(f"data: expected arrays, got {data!r}")
    leaf = jax.tree_util.treedef_is_leaf(jax.tree.structure(data))
    iterable = leaf and isinstance(data, Iterable) and not hasattr(data, "shape")
    if iterable or _is_list_of_batches(data):
        return Stream(data)
    return Repeated(jax.tree.map(lambda x: _as_array(x) if hasattr(x, "detach") else x, data))


def _as_array(leaf: Any) -> Any:
    """A torch tensor or a number as a NumPy array; arrays are returned unchanged."""
    return leaf if isinstance(leaf, jax.Array) else as_numpy(leaf)


def _is_shorter(shapes: Any, full: Any) -> bool:
    """Whether a batch differs from a complete one only by fewer rows."""
    ours, structure = jax.tree.flatten(shapes, is_leaf=_is_shape)
    theirs, other = jax.tree.flatten(full, is_leaf=_is_shape)
    return structure == other and all(
        a[1:] == b[1:] and a[0] < b[0] for a, b in zip(ours, theirs, strict=True)
    )


def _is_shape(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(size, int) for size in value)


def _checksum(batch: Any, before: int) -> int:
    for leaf in jax.tree.leaves(batch):
        before = zlib.crc32(np.ascontiguousarray(leaf).tobytes(), before)
    return before


def _is_list_of_batches(data: Any) -> bool:
    return isinstance(data, list) and bool(data) and isinstance(data[0], dict | tuple | list)


def _is_torch_dataset(data: Any) -> bool:
    return any(base.__module__ == "torch.utils.data.dataset" for base in type(data).__mro__)
