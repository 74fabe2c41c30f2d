"""The environment of a measurement, including the other libraries and the load."""

import os
from typing import Any

from jax_rnn.base.environment import environment as of_package
from jax_rnn.base.environment import installed

__all__ = ["environment"]

PEERS = ("dm-haiku", "equinox", "keras")


def environment(threads: int) -> dict[str, Any]:
    """Versions, device, processor, threads, and the mean load of the last minutes."""
    versions = {package: installed(package) or "not installed" for package in PEERS}
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return {
        **of_package(),
        **versions,
        "threads": str(threads),
        "load before": f"{load} (1, 5, 15 minutes)",
        "XLA_FLAGS": os.environ.get("XLA_FLAGS", ""),
    }
