"""The checkpoints of a run: the last ones and the best, each complete or absent.

The checkpoint of step 100 is the file ``step-00000100.safetensors``. It is written under a
temporary name and renamed last, so a killed process never leaves an incomplete one.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import SingleDeviceSharding

from jax_rnn.base.processes import main_does
from jax_rnn.base.sealed import About, Damage, examine, read, write
from jax_rnn.base.storage import PARTIAL

__all__ = ["CheckpointError", "Checkpoints"]


class CheckpointError(OSError):
    """A checkpoint could not be written or read; earlier ones are not affected."""


class Checkpoints:
    """The checkpoints of one run: the latest ``keep`` and the best one.

    Each file is examined once, when it is first needed; it is not expected to change afterwards.

    Args:
        folder: path of the checkpoints, created with the first one. Its parent must exist.
        keep: number of the latest checkpoints to keep. Default 2: if the last is damaged, one
            remains.
        say: called with a message if a damaged checkpoint is skipped.
    """

    def __init__(
        self, folder: Path, *, keep: int = 2, say: Callable[[str], None] = lambda text: None
    ):
        self.folder = folder.absolute()
        self.keep = keep
        self.say = say
        self._examined: dict[int, About | Damage] = {}

    def path(self, step: int) -> Path:
        return self.folder / f"step-{step:08d}.safetensors"

    def steps(self) -> list[int]:
        """Steps of all checkpoints, complete or damaged, in order."""
        names = [path.name for path in self.folder.iterdir()] if self.folder.is_dir() else []
        found = (re.fullmatch(r"step-([0-9]{8,})\.safetensors", name) for name in names)
        return sorted(int(match[1]) for match in found if match)

    def latest(self) -> int | None:
        """The step of the last complete checkpoint; None if none exists."""
        return next(self._complete(), None)

    def best(self) -> int | None:
        """The step of the checkpoint with the best figure; the latest if none was measured."""
        measured: dict[int, float] = {}
        for step in self._complete():
            name, mode = self.about(step).monitor
            value = self.about(step).figures.get(name)
            if value is not None:
                measured[step] = value if mode == "min" else -value
        return min(measured, key=lambda step: (measured[step], step)) if measured else self.latest()

    def resume_at(self) -> int:
        """The step of the last complete checkpoint; 0 if none was ever saved.

        Raises:
            CheckpointError: all checkpoints are damaged.
        """
        step = self.latest()
        if step is None and self.steps():
            raise CheckpointError(
                f"{self.folder}: expected a complete checkpoint, but all are damaged "
                f"({', '.join(f'step {k}: {self._examined[k]}' for k in self.steps())}). Restore a "
                "copy of one, or train again in another folder"
            )
        return step or 0

    def about(self, step: int) -> About:
        """What was saved with the arrays. CheckpointError: the checkpoint is damaged."""
        found = self._found(step)
        if isinstance(found, Damage):
            raise CheckpointError(
                f"{self.path(step)}: expected a complete checkpoint, but {found}; restore a copy, "
                "or use another checkpoint"
            )
        return found

    def save(
        self,
        step: int,
        tree: Any,
        figures: Mapping[str, float],
        notes: Mapping[str, Any] | None = None,
    ) -> None:
        """Write the arrays of ``tree``; every process must call it, the main one writes.

        Args:
            step: step of the checkpoint.
            tree: pytree of arrays.
            figures: figures measured at this step.
            notes: JSON-serializable data. ``"monitor": [name, "min" or "max"]`` selects the figure
                for the best checkpoint; by default ``["loss", "min"]``.

        Raises:
            CheckpointError: the checkpoint cannot be written, e.g. because the disk is full.
        """
        arrays = {name: _gathered(leaf) for name, leaf in _flat(tree).items()}
        try:
            main_does(lambda: self._write(step, arrays, figures, notes or {}))
        except (OSError, ValueError) as error:
            last = self.latest()
            kept = "no earlier one exists" if last is None else f"that of step {last} is complete"
            raise CheckpointError(
                f"the checkpoint of step {step} could not be written to {self.folder}: "
                f"{_reason(error)}; {kept}. Free disk space or make the folder writable, then "
                "resume the run"
            ) from error

    def restore(self, step: int, like: Any, part: str | None = None) -> Any:
        """The arrays of a checkpoint, in the structure, dtypes and shardings of ``like``.

        Args:
            step: step of the checkpoint.
            like: pytree of arrays; for a part ``jax.ShapeDtypeStruct`` too.
            part: a key of the saved tree, of which only this part is restored, on one device; a
                single process may do so. None (default) restores all.

        Raises:
            CheckpointError: the arrays have other names, shapes or dtypes, or cannot be read.
        """
        prefix = "" if part is None else f"{part}/"
        here = None if part is None else SingleDeviceSharding(jax.local_devices()[0])
        wanted = _flat(like, prefix)
        leaves, structure = jax.tree.flatten(like)
        self.about(step)
        try:
            saved = read(self.path(step), prefix)
        except Exception as error:  # many kinds, where a file was forged
            raise CheckpointError(
                f"{self.path(step)}: expected the arrays of a checkpoint, got a file that cannot "
                f"be read ({_reason(error)}); restore a copy, or use another checkpoint"
            ) from error
        if faults := _misfits(wanted, saved):
            message = f"{self.path(step)} does not fit this model:"
            raise CheckpointError("\n  ".join([message, *faults]))
        arrays = [
            _placed(saved.pop(name), leaf, here or getattr(stored, "sharding", None))
            for leaf, (name, stored) in zip(leaves, wanted.items(), strict=True)
        ]
        return jax.tree.unflatten(structure, arrays)

    def tidy(self) -> None:
        """Remove all checkpoints but those to keep, and unfinished ones of a killed process."""
        for left in self.folder.glob(f".step-*{PARTIAL}"):
            left.unlink()
        complete = list(self._complete())
        for step in {*self.steps()} - {*complete[: self.keep], self.best()}:
            if self.path(step).is_symlink() or not self.path(step).is_dir():
                self.path(step).unlink()

    def _write(self, step: int, arrays: dict[str, Any], figures: Mapping, notes: Mapping) -> None:
        self.folder.mkdir(exist_ok=True)
        self._examined[step] = write(self.path(step), step, arrays, figures, notes)
        self.tidy()

    def _complete(self) -> Iterator[int]:
        """Steps of the complete checkpoints, the last one first."""
        for step in reversed(self.steps()):
            if not isinstance(self._found(step), Damage):
                yield step

    def _found(self, step: int) -> About | Damage:
        """What the checkpoint of a step is; damage is reported once."""
        if step not in self._examined:
            self._examined[step] = found = examine(self.path(step))
            if isinstance(found, Damage):
                self.say(f"the checkpoint of step {step} is damaged ({found}) and skipped")
        return self._examined[step]


def _flat(tree: Any, prefix: str = "") -> dict[str, Any]:
    """The leaves of a tree by their path after ``prefix``; random keys as numbers.

    Raises:
        ValueError: two leaves have the same path, such as ``{"a/b": x, "a": {"b": y}}``.
    """
    named = {}
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        name = prefix + jax.tree_util.keystr(path, simple=True, separator="/")
        if name in named:
            raise ValueError(
                f"expected arrays with different names, got several with the name {name!r}"
            )
        named[name] = jax.random.key_data(leaf) if _is_key(leaf) else leaf
    return named


def _misfits(wanted: Mapping[str, Any], saved: Mapping[str, np.ndarray]) -> list[str]:
    """How the names, shapes and dtypes of saved arrays differ from those wanted."""
    faults = [f"missing: {name}" for name in wanted if name not in saved]
    faults += [f"unexpected: {name}" for name in saved if name not in wanted]
    for name in wanted.keys() & saved.keys():
        a, b = wanted[name], saved[name]
        if tuple(a.shape) != b.shape or a.dtype != b.dtype:
            faults.append(f"{name}: expected {a.dtype} {tuple(a.shape)}, got {b.dtype} {b.shape}")
    return sorted(faults)


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _gathered(leaf: Any) -> Any:
    """An array of which this process has every part; every process must call it."""
    if not isinstance(leaf, jax.Array) or leaf.is_fully_addressable or leaf.is_fully_replicated:
        return leaf
    return multihost_utils.process_allgather(leaf, tiled=True)


def _placed(array: np.ndarray, like: Any, sharding: Any) -> Any:
    """The array with this sharding; a NumPy array if it is None, random keys if ``like`` is."""
    if sharding is None:
        return array
    placed = jax.make_array_from_callback(array.shape, sharding, lambda index: array[index])
    if _is_key(like):
        return jax.random.wrap_key_data(placed, impl=jax.random.key_impl(like))
    return placed


def _reason(error: BaseException) -> str:
    """The message of the system, or the first line of another."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
