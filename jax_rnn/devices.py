"""Choosing where to run."""

from typing import Any, Literal

import jax

__all__ = ["DeviceError", "Kind", "available", "choose"]

Kind = Literal["cpu", "gpu", "tpu"]
KINDS: tuple[Kind, ...] = ("tpu", "gpu", "cpu")
"""The best first."""


class DeviceError(RuntimeError):
    """A device of that kind is not there; the message says which are."""


def available() -> dict[Kind, list[Any]]:
    """The devices of this process, by kind, the best kind first."""
    found: dict[Kind, list[Any]] = {}
    for kind in KINDS:
        try:
            found[kind] = jax.devices(kind)
        except RuntimeError:  # how JAX says that there is none
            continue
    return found


def choose(kind: Kind | None = None) -> Any:
    """The first device of that kind, or of the best kind there is."""
    if kind is None:
        return jax.devices()[0]
    devices = available()
    if kind not in devices:
        there = ", ".join(f"{kind} ({len(found)})" for kind, found in devices.items())
        raise DeviceError(
            f"expected a device of kind {kind!r}, but JAX finds only: {there}. "
            "`jax-rnn doctor` says how to install JAX for an accelerator"
        )
    return devices[kind][0]
