"""Choosing where to run."""

import os
from typing import Any, Literal

import jax

__all__ = ["REMEDIES", "DeviceError", "Kind", "available", "choose", "start"]

Kind = Literal["cpu", "gpu", "tpu"]
KINDS: tuple[Kind, ...] = ("tpu", "gpu", "cpu")
"""The best first."""

REMEDIES = {"gpu": 'pip install "jax[cuda13]"', "tpu": 'pip install "jax[tpu]"'}
"""Kind -> how to install JAX for it."""


class DeviceError(RuntimeError):
    """There is no device of that kind, or JAX cannot start; the message says what to do."""


def start() -> None:
    """Start JAX's backends.

    Raises:
        DeviceError: the one that ``JAX_PLATFORMS`` asks for does not start.
    """
    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:
        raise DeviceError(why_not_started(error)) from error


def why_not_started(error: Exception) -> str:
    """What to do about JAX's error at the start of a backend, in one sentence."""
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
        except (RuntimeError, AssertionError):  # how JAX reports that it has none
            continue
    return found


def choose(kind: Kind | None = None) -> Any:
    """The first device of that kind, or of the best kind available.

    Raises:
        DeviceError: there is none, or JAX cannot start.
    """
    start()
    if kind is None:
        return jax.devices()[0]
    devices = available()
    if kind not in devices:
        found = ", ".join(f"{kind} ({len(found)})" for kind, found in devices.items())
        raise DeviceError(
            f"expected a device of kind {kind!r}, but JAX finds only: {found}. "
            "`jax-rnn doctor` says how to install JAX for an accelerator"
        )
    return devices[kind][0]
