"""Placement of arrays in training: on one device, or over a mesh of devices and processes."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jax_rnn.base.errors import ArgumentError
from jax_rnn.base.meshes import make_mesh
from jax_rnn.train.step import TrainState

__all__ = ["Layout", "make_mesh"]


class Layout(NamedTuple):
    """Parameters are replicated on every device, batches and carries are sharded by rows."""

    mesh: Mesh | None

    def check(self, size: int) -> None:
        """Check that the rows of a batch divide evenly over the devices. ValueError otherwise."""
        if self.mesh is not None and size % self.mesh.size:
            expected = f"a multiple of {self.mesh.size}, the number of devices"
            raise ArgumentError("batch_size", f"expected {expected}, got {size}")

    def rows(self, size: int) -> slice:
        """The rows of a batch that this process reads."""
        if self.mesh is None:
            return slice(0, size)
        here = [device.process_index == jax.process_index() for device in self.mesh.devices.flat]
        share = size // self.mesh.size
        first = here.index(True)
        return slice(first * share, (first + sum(here)) * share)

    def batches(self, arrays: Any, leading: int) -> Any:
        """The rows of this process, after ``leading`` other axes, as arrays on the devices."""
        if self.mesh is None:
            return jax.device_put(arrays)
        sharding = self._spread(leading)
        return jax.tree.map(
            lambda leaf: jax.make_array_from_process_local_data(sharding, np.asarray(leaf)), arrays
        )

    def state(self, state: TrainState) -> TrainState:
        """The state on the devices; it must be equal on all processes."""
        if self.mesh is None:
            return state

        def place(leaf: Any, sharding: NamedSharding) -> Any:
            def on_devices(leaf: Any) -> Any:
                host = np.asarray(leaf)
                return jax.make_array_from_callback(host.shape, sharding, host.__getitem__)

            return _on_numbers(on_devices, leaf)

        return jax.tree.map(place, state, self.shardings(state))

    def shardings(self, state: TrainState) -> Any:
        """Shardings of all leaves of the state; None without a mesh."""
        if self.mesh is None:
            return None
        everywhere = jax.tree.map(lambda _: self.replicated, state._replace(carry=None))
        return everywhere._replace(carry=jax.tree.map(lambda _: self._spread(1), state.carry))

    def local(self, arrays: Any) -> Any:
        """Arrays that this process has as a whole, on one device."""
        if self.mesh is None:
            return arrays
        return jax.tree.map(lambda leaf: _on_numbers(_local, leaf), arrays)

    @property
    def replicated(self) -> Any:
        """None without a mesh."""
        return None if self.mesh is None else NamedSharding(self.mesh, PartitionSpec())

    def _spread(self, axis: int) -> NamedSharding:
        assert self.mesh is not None
        return NamedSharding(self.mesh, PartitionSpec(*[None] * axis, self.mesh.axis_names[0]))


def _on_numbers(function: Callable[[Any], Any], leaf: Any) -> Any:
    """``function(leaf)``; of random keys, the keys of the function of their numbers."""
    if not jnp.issubdtype(jnp.result_type(leaf), jax.dtypes.prng_key):
        return function(leaf)
    numbers = function(jax.random.key_data(leaf))
    return jax.random.wrap_key_data(numbers, impl=jax.random.key_impl(leaf))


def _local(leaf: Any) -> Any:
    return jax.device_put(np.asarray(leaf))  # unlike jnp.asarray, in no mesh that is set
