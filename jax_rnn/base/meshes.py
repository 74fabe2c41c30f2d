"""Meshes of devices: from an option, checked, and entered by a function."""

from collections.abc import Callable
from contextlib import nullcontext
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import jax
import numpy as np
from jax.sharding import AxisType, Mesh

from jax_rnn.base.errors import ArgumentError, ArgumentTypeError

__all__ = ["in_mesh", "make_mesh", "one_axis"]

AXIS = "data"
"""Name of the axis over which batches are sharded."""

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
            raise ArgumentError(
                "mesh",
                f"expected {AXIS}={jax.device_count()}, since {jax.process_count()} processes have "
                f"{jax.device_count()} devices, got no mesh",
            )
        return None
    axis, _, number = text.partition("=")
    if axis != AXIS or not number.isdecimal() or int(number) < 1:
        raise ArgumentError("mesh", f"expected {AXIS}=N with N devices, got {text!r}")
    devices = sorted(jax.devices(kind), key=lambda device: (device.process_index, device.id))
    count = int(number)
    if count > len(devices) or (jax.process_count() > 1 and count != len(devices)):
        exactly = "exactly" if jax.process_count() > 1 else "at most"
        raise ArgumentError(
            "mesh",
            f"expected {exactly} {len(devices)}, the number of devices that JAX has, got {count}; "
            "XLA_FLAGS=--xla_force_host_platform_device_count=N divides a CPU into N devices",
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
        raise ArgumentTypeError(
            "mesh",
            f"expected a jax.sharding.Mesh, got {type(mesh).__name__}; use "
            'jax.make_mesh((jax.device_count(),), ("data",))',
        )
    if len(mesh.axis_names) != 1:
        names = ", ".join(map(str, mesh.axis_names)) or "none"
        raise ArgumentError(
            "mesh",
            f"expected one axis, over which every batch is spread, got {names}; use "
            f'jax.make_mesh(({mesh.size},), ("data",))',
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
