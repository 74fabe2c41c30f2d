"""Checkpoints of pytrees of arrays, written and read by any number of processes."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import jax
from jax.sharding import SingleDeviceSharding

from jax_rnn.train.checkpoint_folder import CheckpointError, CheckpointFolder
from jax_rnn.train.mesh import all_do, is_main, main_does
from jax_rnn.train.shards import SavedArray, flat, misfits, place, saved_arrays, write_shards

__all__ = ["CheckpointError", "Checkpoints"]


class Checkpoints(CheckpointFolder):
    """The checkpoints of one run, with their arrays; see ``CheckpointFolder`` for the arguments."""

    def save(
        self,
        step: int,
        tree: Any,
        figures: Mapping[str, float],
        notes: Mapping[str, Any] | None = None,
    ) -> None:
        """Write the arrays of ``tree``; every process must call it.

        Args:
            step: step of the checkpoint.
            tree: pytree of arrays.
            figures: figures measured at this step.
            notes: JSON-serializable data, returned by ``notes``. ``"monitor": [name, "min" or
                "max"]`` selects the figure and its direction for the best checkpoint; by default
                ``["loss", "min"]``.

        Raises:
            CheckpointError: the checkpoint cannot be written, e.g. because the disk is full.
        """
        arrays = flat(tree)
        size = sum(leaf.nbytes for leaf in arrays.values())
        try:
            main_does(lambda: self.start(step, size))
            all_do(lambda: write_shards(self.partial(step), arrays))
            main_does(lambda: self._finish(step, figures, notes or {}))
        except jax.errors.JaxRuntimeError:  # the cause is another process or a device, not the disk
            raise
        except (OSError, ValueError) as error:
            if is_main():
                self.abandon()
            whole = self.latest()
            kept = "none was saved before" if whole is None else f"that of step {whole} is complete"
            raise CheckpointError(
                f"the checkpoint of step {step} could not be written to {self.folder}: "
                f"{_reason(error)}; {kept}. Free disk space or make the folder writable, then use "
                "resume=True"
            ) from error

    def restore(self, step: int, like: Any) -> Any:
        """The arrays of a checkpoint, in the structure, dtypes and shardings of ``like``.

        Raises:
            CheckpointError: the arrays have other names, shapes or dtypes, or cannot be read.
        """
        return self._read(step, like)

    def restore_part(self, step: int, part: str, like: Any) -> Any:
        """One part of a checkpoint on one device, independently of the devices at saving.

        A single process may call it.

        Args:
            step: step of the checkpoint.
            part: name of the part, a key of the saved tree.
            like: arrays, or ``jax.ShapeDtypeStruct``, of the part.

        Raises:
            CheckpointError: as ``restore``.
        """
        return self._read(step, like, f"{part}/", SingleDeviceSharding(jax.local_devices()[0]))

    def count(self, step: int, part: str) -> int:
        """Number of arrays in one part of a checkpoint."""
        with self._reading(step, f"{part}/") as saved:
            return len(saved)

    def check_part(self, step: int, part: str, like: Any) -> None:
        """CheckpointError: one part has other names, shapes or dtypes than ``like``."""
        with self._reading(step, f"{part}/") as saved:
            self._check_fit(step, flat(like, f"{part}/"), saved)

    def _read(self, step: int, like: Any, prefix: str = "", sharding: Any = None) -> Any:
        """The arrays whose names start with ``prefix``; None as sharding is that of ``like``."""
        wanted = flat(like, prefix)
        leaves, structure = jax.tree.flatten(like)
        with self._reading(step, prefix) as saved:
            self._check_fit(step, wanted, saved)
            arrays = [
                place(saved[name], leaf, sharding or getattr(stored, "sharding", None))
                for leaf, (name, stored) in zip(leaves, wanted.items(), strict=True)
            ]
        return jax.tree.unflatten(structure, arrays)

    @contextmanager
    def _reading(self, step: int, prefix: str) -> Iterator[dict[str, SavedArray]]:
        """The arrays of a checkpoint whose names start with ``prefix``."""
        try:
            with saved_arrays(self.path(step)) as saved:
                yield {name: array for name, array in saved.items() if name.startswith(prefix)}
        except (CheckpointError, jax.errors.JaxRuntimeError):
            raise
        except Exception as error:  # many kinds, where an index was forged
            raise CheckpointError(
                f"{self.path(step)}: expected the arrays of a checkpoint, got files that cannot be "
                f"read ({_reason(error)}); restore a copy, or use another checkpoint"
            ) from error

    def _finish(self, step: int, figures: Mapping[str, float], notes: Mapping[str, Any]) -> None:
        with saved_arrays(self.partial(step)):  # the shards of all processes are there
            self.finish(step, figures, notes)

    def _check_fit(self, step: int, wanted: dict[str, Any], saved: dict[str, Any]) -> None:
        faults = misfits(wanted, saved)
        if faults:
            raise CheckpointError(
                f"{self.path(step)} does not fit this model:\n  " + "\n  ".join(faults)
            )


def _reason(error: BaseException) -> str:
    """The message of the system, or the first line of another."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
