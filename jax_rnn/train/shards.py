"""Arrays in safetensors files: every process writes its shards, any number of them reads all.

The metadata of a file has an index of its shards: the name, dtype and shape of the whole array, and
the box of the shard in it. Where safetensors lacks a dtype, a last axis is added: real and
imaginary parts for complex numbers, bytes for all others.
"""

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jax_rnn.train.mesh import is_main
from rnn_lecture.storage import replacing

__all__ = ["SavedArray", "flat", "misfits", "place", "saved_arrays", "write_shards"]

FILE = "arrays-{:05d}-of-{:05d}.safetensors"

Box = tuple[range, ...]
"""A rectangular part of an array: the positions along each axis."""


class SavedArray(NamedTuple):
    """An array in the files of a checkpoint, which is read when asked."""

    dtype: np.dtype
    shape: tuple[int, ...]
    shards: list[tuple[Box, Any]]

    def read(self, index: tuple[slice, ...] | None = None) -> np.ndarray:
        """The part at ``index``, from all shards that overlap it; None reads the whole array."""
        wanted = _box(self.shape, index or ())
        result = np.empty([len(axis) for axis in wanted], self.dtype)
        for box, data in self.shards:
            common = _overlap(wanted, box)
            if all(map(len, common)):
                result[_inside(common, wanted)] = _decode(data[_inside(common, box)], self.dtype)
        return result


def write_shards(folder: Path, arrays: Mapping[str, Any]) -> None:
    """Write the file of this process into ``folder``; every process must call it.

    Args:
        folder: an empty folder.
        arrays: arrays by name, of JAX, or NumPy arrays that are equal in all processes.
    """
    from safetensors.numpy import save

    shards, index = {}, {}
    for name, array in arrays.items():
        for box, data in _own_shards(array):
            whole = data.shape == array.shape
            key = name if whole else f"{name}@{','.join(str(axis.start) for axis in box)}"
            shards[key] = _encode(data)
            index[key] = {
                "array": name,
                "dtype": data.dtype.name,
                "shape": array.shape,
                "box": [(axis.start, axis.stop) for axis in box],
            }
    with replacing(folder / FILE.format(jax.process_index(), jax.process_count())) as file:
        file.write(save(shards, {"index": json.dumps(index)}))


@contextmanager
def saved_arrays(folder: Path) -> Iterator[dict[str, SavedArray]]:
    """All arrays in a folder, by name; they can be read within the context.

    Raises:
        Exception: files of another kind.
        ValueError: files or shards are missing.
    """
    from safetensors import safe_open

    found: dict[str, SavedArray] = {}
    paths = sorted(folder.glob("arrays-*-of-*.safetensors"))
    count = int(paths[-1].stem.rpartition("-")[2]) if paths else 1
    if len(paths) != count:
        raise ValueError(f"got {len(paths)} of {count} files of arrays")
    with ExitStack() as stack:
        for path in paths:
            file: Any = stack.enter_context(safe_open(path, "np"))
            for key, entry in json.loads(file.metadata()["index"]).items():
                new = SavedArray(np.dtype(entry["dtype"]), tuple(entry["shape"]), [])
                box = tuple(range(*ends) for ends in entry["box"])
                found.setdefault(entry["array"], new).shards.append((box, file.get_slice(key)))
        for name, array in found.items():
            size = sum(math.prod(map(len, box)) for box, _ in array.shards)
            if size != math.prod(array.shape):
                raise ValueError(
                    f"{name}: expected {math.prod(array.shape)} numbers, got shards with {size}"
                )
        yield found


def flat(tree: Any, prefix: str = "") -> dict[str, Any]:
    """The leaves of a tree by their path after ``prefix``; random keys as numbers.

    Raises:
        ValueError: two leaves have the same path, such as ``{"a/b": x, "a": {"b": y}}``.
    """
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    named = {}
    for path, leaf in leaves:
        name = prefix + jax.tree_util.keystr(path, simple=True, separator="/")
        if name in named:
            raise ValueError(f"expected arrays of different names, got several {name!r}")
        named[name] = jax.random.key_data(leaf) if _is_key(leaf) else leaf
    return named


def misfits(wanted: Mapping[str, Any], saved: Mapping[str, Any]) -> list[str]:
    """How the names, shapes and dtypes of saved arrays differ from those wanted."""
    faults = [f"missing: {name}" for name in wanted if name not in saved]
    faults += [f"unexpected: {name}" for name in saved if name not in wanted]
    for name in wanted.keys() & saved.keys():
        a, b = wanted[name], saved[name]
        if tuple(a.shape) != b.shape or a.dtype != b.dtype:
            faults.append(f"{name}: expected {a.dtype} {tuple(a.shape)}, got {b.dtype} {b.shape}")
    return sorted(faults)


def place(array: SavedArray, like: Any, sharding: Any) -> Any:
    """The array with this sharding; a NumPy array if it is None, random keys if ``like`` is."""
    if sharding is None:
        return array.read()
    placed = jax.make_array_from_callback(array.shape, sharding, array.read)
    if _is_key(like):
        return jax.random.wrap_key_data(placed, impl=jax.random.key_impl(like))
    return placed


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _own_shards(array: Any) -> Iterator[tuple[Box, np.ndarray]]:
    """The parts of an array that this process writes, so that each is written once."""
    if isinstance(array, jax.Array):
        for shard in array.addressable_shards:
            if shard.replica_id == 0:
                yield _box(array.shape, shard.index), np.asarray(shard.data, order="C")
    elif is_main():
        yield _box(array.shape), np.asarray(array, array.dtype.newbyteorder("="), order="C")


def _box(shape: tuple[int, ...], index: tuple[slice, ...] = ()) -> Box:
    """The positions that an index selects; axes without a slice are whole."""
    cuts = (*index, *[slice(None)] * (len(shape) - len(index)))
    return tuple(range(size)[cut] for size, cut in zip(shape, cuts, strict=True))


def _overlap(one: Box, other: Box) -> Box:
    pairs = zip(one, other, strict=True)
    return tuple(range(max(a.start, b.start), min(a.stop, b.stop)) for a, b in pairs)


def _inside(part: Box, whole: Box) -> tuple[slice, ...]:
    """The index of one box in another."""
    pairs = zip(part, whole, strict=True)
    return tuple(slice(a.start - b.start, a.stop - b.start) for a, b in pairs)


def _encode(data: np.ndarray) -> np.ndarray:
    stored = _stored(data.dtype)
    return data if stored == data.dtype else data[..., None].view(stored)


def _decode(stored: np.ndarray, dtype: np.dtype) -> np.ndarray:
    return stored if stored.dtype == dtype else stored.view(dtype)[..., 0]


def _stored(dtype: np.dtype) -> np.dtype:
    """The dtype in the file."""
    if dtype.kind == "c":
        return np.dtype(f"f{dtype.itemsize // 2}")
    return dtype if dtype.isbuiltin == 1 or dtype == jnp.bfloat16 else np.dtype(np.uint8)
