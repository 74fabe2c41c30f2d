"""Choose the device to run on."""

import os
from typing import Any, Literal

import jax

__all__ = [
    "REMEDIES",
    "DeviceError",
    "Kind",
    "available",
    "choose",
    "is_main",
    "start",
]

Kind = Literal["cpu", "gpu", "tpu"]
KINDS: tuple[Kind, ...] = ("tpu", "gpu", "cpu")
"""Kinds of devices, the best first."""

REMEDIES = {"gpu": 'pip install "jax[cuda13]"', "tpu": 'pip install "jax[tpu]"'}
"""Kind -> how to install JAX for it."""


class DeviceError(RuntimeError):
    """No device of this kind exists, or JAX cannot start; the message states the fix.

    Attributes:
        argument: name of the argument that asks for the device; empty if JAX cannot start.
        reason: what was expected, what came, and what to do.
    """

    def __init__(self, reason: str, argument: str = ""):
        super().__init__(f"{argument}: {reason}" if argument else reason)
        self.argument, self.reason = argument, reason


def start() -> None:
    """Start JAX's backends.

    Raises:
        DeviceError: the backend that ``JAX_PLATFORMS`` selects does not start.
    """
    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:
        raise DeviceError(why_not_started(error)) from error


def why_not_started(error: Exception) -> str:
    """The fix for an error of JAX at the start of a backend, in one sentence."""
    asked = os.environ.get("JAX_PLATFORMS")
    reason = str(error).split(" (you may need to")[0].split(" (set JAX_PLATFORMS")[0]
    reason = " ".join(reason.removeprefix("Unable to initialize backend ").split()).rstrip(".")
    reason = reason or "no plugin of JAX for it is installed"
    if not asked:
        return f"JAX cannot start a backend: {reason}"
    kinds = {"cuda": "gpu", "rocm": "gpu"}
    remedy = REMEDIES.get(kinds.get(asked, asked))
    install = f", or install JAX for it: {remedy}" if remedy else ""
    return (
        f"JAX_PLATFORMS={asked}: JAX cannot start this backend: {reason}; unset JAX_PLATFORMS "
        f"to use the best device that JAX finds{install}"
    )


def available() -> dict[Kind, list[Any]]:
    """The devices of this process, by kind, the best kind first."""
    found: dict[Kind, list[Any]] = {}
    for kind in KINDS:
        try:
            found[kind] = jax.devices(kind)
        except (RuntimeError, AssertionError):  # JAX's error if it has no such device
            continue
    return found


def choose(kind: Kind | None = None) -> Any:
    """The first device of this kind, or of the best kind available.

    Raises:
        DeviceError: no such device exists, or JAX cannot start.
    """
    start()
    if kind is None:
        return jax.devices()[0]
    devices = available()
    if kind not in devices:
        found = ", ".join(f"{kind} ({len(found)})" for kind, found in devices.items())
        install = f"; to install JAX for it: {REMEDIES[kind]}" if kind in REMEDIES else ""
        raise DeviceError(
            f"expected a device of kind {kind!r}, but JAX finds only: {found}{install}", "device"
        )
    return devices[kind][0]


def is_main() -> bool:
    """Whether this process is the one that writes files and prints."""
    return jax.process_index() == 0
