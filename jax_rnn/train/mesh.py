"""Placement of arrays in training: one device, or a mesh of devices and processes."""

from collections.abc import Callable
from contextlib import nullcontext
from functools import wraps
from typing import Any, NamedTuple, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jax_rnn.train.step import TrainState

__all__ = ["AXIS", "Layout", "in_mesh", "make_mesh", "one_axis"]

AXIS = "data"

ParametersT = ParamSpec("ParametersT")
ResultT = TypeVar("ResultT")


def make_mesh(text: str | None, kind: str | None = None) -> Mesh | None:
    """``"data=8"`` -> a mesh of 8 devices over which every batch is sharded; None for no mesh.

    Args:
        text: name of the axis, ``data``, and the number of devices along it.
        kind: ``"cpu"``, ``"gpu"`` or ``"tpu"``; None is the best available.

    Raises:
        ValueError: another axis, no number, or more devices than JAX has; with several processes
            also None, or fewer devices.
    """
    if text is None:
        if jax.process_count() > 1:
            raise ValueError(
                f"mesh: expected {AXIS}={jax.device_count()}, all devices of the "
                f"{jax.process_count()} processes, got no mesh"
            )
        return None
    axis, _, number = text.partition("=")
    if axis != AXIS or not number.isdecimal() or int(number) < 1:
        raise ValueError(f"mesh: expected {AXIS}=N, with N the number of devices, got {text!r}")
    devices = sorted(jax.devices(kind), key=lambda device: (device.process_index, device.id))
    count = int(number)
    if count > len(devices) or (jax.process_count() > 1 and count != len(devices)):
        exactly = "exactly" if jax.process_count() > 1 else "at most"
        raise ValueError(
            f"mesh: expected {exactly} the {len(devices)} devices that JAX has, got {count}; "
            "XLA_FLAGS=--xla_force_host_platform_device_count=N divides a CPU into N devices"
        )
    return Mesh(np.array(devices[:count]), (AXIS,), axis_types=(AxisType.Auto,))


def one_axis(mesh: Any) -> Mesh | None:
    """The mesh that ``fit`` uses, with one axis of any name and of type ``Auto``.

    Raises:
        TypeError: not a mesh of devices.
        ValueError: a number of axes other than one.
    """
    if mesh is None:
        return None
    if not isinstance(mesh, Mesh):
        raise TypeError(
            f"mesh: expected a jax.sharding.Mesh, got {type(mesh).__name__}; use "
            'jax.make_mesh((jax.device_count(),), ("data",))'
        )
    if len(mesh.axis_names) != 1:
        raise ValueError(
            f"mesh: expected one axis, over which every batch is spread, got "
            f"{', '.join(map(str, mesh.axis_names)) or 'none'}; use "
            f'jax.make_mesh(({mesh.size},), ("data",))'
        )
    return Mesh(mesh.devices, mesh.axis_names, axis_types=(AxisType.Auto,))


def in_mesh(function: Callable[ParametersT, ResultT]) -> Callable[ParametersT, ResultT]:
    """Decorate a training, so that it runs in the right mesh of ``jax.set_mesh``.

    - A keyword ``mesh`` is converted by ``one_axis``. It replaces a mesh that the caller has set,
      since arrays with different types of axes cannot be combined, except in ``evaluate`` and
      ``on_record``.
    - Without it, and if the caller has set none, a mesh with explicit axes on which an argument is
      sharded is set, since JAX differentiates explicitly sharded arrays only in their mesh.
    """

    @wraps(function)
    def wrapper(*arguments: ParametersT.args, **options: ParametersT.kwargs) -> ResultT:
        mesh, caller = one_axis(options.get("mesh")), jax.sharding.get_mesh()
        entered = None
        if mesh is None and caller.empty:
            entered = _explicit((arguments, options))
        elif mesh is not None:
            options["mesh"] = mesh
            if not caller.empty:
                entered = mesh
                for name in ("evaluate", "on_record"):
                    if callable(options.get(name)):
                        options[name] = _within(caller, options[name])
        with nullcontext() if entered is None else jax.set_mesh(entered):
            return function(*arguments, **options)

    return wrapper


def _within(mesh: Mesh, function: Any) -> Callable[[Any], Any]:
    """The function, called in this mesh."""

    def called(argument: Any) -> Any:
        with jax.set_mesh(mesh):
            return function(argument)

    return called


def _explicit(tree: Any) -> Mesh | None:
    """The mesh with explicit axes on which an array of the tree is; None if there is none."""
    for leaf in jax.tree.leaves(tree):
        mesh = getattr(getattr(leaf, "sharding", None), "mesh", None)
        if isinstance(mesh, Mesh) and AxisType.Explicit in mesh.axis_types:
            return mesh
    return None


class Layout(NamedTuple):
    """Parameters are replicated on every device, batches and carries are sharded by rows."""

    mesh: Mesh | None

    def check(self, size: int) -> None:
        """Check that the rows of a batch divide evenly over the devices. ValueError otherwise."""
        if self.mesh is not None and size % self.mesh.size:
            raise ValueError(
                f"batch size: expected a multiple of the {self.mesh.size} devices, got {size}"
            )

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
        return jax.tree.map(_place, state, self.shardings(state))

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


def _place(leaf: Any, sharding: NamedSharding) -> Any:
    def place(leaf: Any) -> Any:
        host = np.asarray(leaf)
        return jax.make_array_from_callback(host.shape, sharding, lambda index: host[index])

    return _on_numbers(place, leaf)
