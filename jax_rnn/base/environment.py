"""The environment of a measurement."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import jax

__all__ = ["environment", "installed"]

PACKAGES = ("jax-rnn", "jax", "jaxlib", "flax", "optax", "torch", "numpy")


def installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def environment() -> dict[str, str]:
    """Versions, device and processor, as text."""
    versions = {package: installed(package) or "not installed" for package in PACKAGES}
    device = jax.devices()[0]
    precision = getattr(jax.config, "jax_default_matmul_precision")  # noqa: B009, as set around us
    return {
        "python": platform.python_version(),
        **versions,
        "jax device": f"{device.platform} ({device.device_kind})",
        "matmul precision": str(precision or "default"),
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "system": platform.platform(),
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
