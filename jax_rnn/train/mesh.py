"""Where arrays live while training: one device, or a mesh of devices and hosts."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jax_rnn.train.step import TrainState

__all__ = ["AXIS", "Layout", "any_process", "barrier", "is_main", "make_mesh"]

AXIS = "data"


def make_mesh(text: str | None) -> Mesh | None:
    """``"data=8"`` -> a mesh of 8 devices over which every batch is spread; None for no mesh.

    Raises:
        ValueError: another axis, no number, or more devices than there are.
    """
    if text is None:
        return None
    axis, _, number = text.partition("=")
    if axis != AXIS or not number.isdecimal() or int(number) < 1:
        raise ValueError(
            f"--mesh: expected {AXIS}=N, N devices to spread a batch over, got {text!r}"
        )
    devices, count = jax.devices(), int(number)
    if count > len(devices) or (jax.process_count() > 1 and count != len(devices)):
        exactly = "exactly" if jax.process_count() > 1 else "at most"
        raise ValueError(
            f"--mesh: expected {exactly} the {len(devices)} devices there are, got {count}; on a "
            "CPU XLA_FLAGS=--xla_force_host_platform_device_count=N makes N of it"
        )
    return jax.make_mesh((count,), (AXIS,), axis_types=(AxisType.Auto,), devices=devices[:count])


class Layout(NamedTuple):
    """Parameters are on every device, each batch and carry spread over the mesh by rows."""

    mesh: Mesh | None

    def check(self, size: int) -> None:
        """ValueError: a batch of so many rows does not divide evenly over the devices."""
        if self.mesh is not None and size % self.mesh.size:
            raise ValueError(
                f"batch size: expected a multiple of the {self.mesh.size} devices, got {size}"
            )

    def rows(self, size: int) -> slice:
        """The rows of a batch that this process reads."""
        if self.mesh is None:
            return slice(0, size)
        share = size // jax.process_count()
        return slice(jax.process_index() * share, (jax.process_index() + 1) * share)

    def batches(self, arrays: Any, leading: int) -> Any:
        """This process's rows, behind ``leading`` further axes, as arrays on the devices."""
        if self.mesh is None:
            return jax.device_put(arrays)
        sharding = self._spread(leading)
        return jax.tree.map(
            lambda leaf: jax.make_array_from_process_local_data(sharding, np.asarray(leaf)), arrays
        )

    def state(self, state: TrainState) -> TrainState:
        """The state on the devices; equal on all processes before."""
        if self.mesh is None:
            return state
        return jax.tree.map(_place, state, self.shardings(state))

    def shardings(self, state: TrainState) -> Any:
        """Of every leaf of the state; None without a mesh."""
        if self.mesh is None:
            return None
        everywhere = jax.tree.map(lambda _: self.replicated, state._replace(carry=None))
        return everywhere._replace(carry=jax.tree.map(lambda _: self._spread(1), state.carry))

    def local(self, params: Any) -> Any:
        """Parameters, which stand on every device, as arrays of this process alone."""
        if self.mesh is None:
            return params
        return jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf)), params)

    @property
    def replicated(self) -> Any:
        """None without a mesh."""
        return None if self.mesh is None else NamedSharding(self.mesh, PartitionSpec())

    def _spread(self, axis: int) -> NamedSharding:
        assert self.mesh is not None
        return NamedSharding(self.mesh, PartitionSpec(*[None] * axis, AXIS))


def _place(leaf: Any, sharding: NamedSharding) -> Any:
    host = np.asarray(leaf)
    return jax.make_array_from_callback(host.shape, sharding, lambda index: host[index])


def is_main() -> bool:
    """Whether this process is the one that writes files and speaks."""
    return jax.process_index() == 0


def barrier(name: str) -> None:
    """Wait until every process is here."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(name)


def any_process(flag: bool) -> bool:
    """Whether the flag is up in any process; every process has to ask."""
    if jax.process_count() == 1:
        return flag
    return bool(multihost_utils.process_allgather(np.asarray(flag)).any())
