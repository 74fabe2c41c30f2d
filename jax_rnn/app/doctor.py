"""Report versions, devices, precision, cached programs and missing packages."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import jax
from rich.markup import escape

from jax_rnn.base.caches import compiled_folder
from jax_rnn.base.console import printable
from jax_rnn.base.devices import KINDS, REMEDIES, DeviceError, available, start
from jax_rnn.base.environment import PACKAGES, environment, installed
from jax_rnn.base.extras import how_to_install
from jax_rnn.base.typing import default_float

__all__ = ["examine"]

OPTIONAL = {
    "torch": ("`jax-rnn compare` and `sweep --framework torch`", "torch"),
    "matplotlib": ("--plot and --html", "plot"),
    "jinja2": ("--html", "plot"),
    "tensorboardX": ("--tensorboard", "tensorboard"),
    "scikit-learn": ("the task digits of `jax-rnn probe`", "probes"),
    "equinox": ("conversion of Equinox's cells", "equinox"),
}
"""Package -> its purpose, and the extra in pyproject.toml that installs it."""


def examine() -> Iterator[str]:
    """The lines of the report, with rich's markup."""
    fault = _start()
    facts = environment()
    yield "[bold]versions[/]"
    for name in ("python", *PACKAGES):
        yield f"  {name:16}{facts[name]}"
    yield f"  {'system':16}{facts['system']}"
    yield f"  {'processor':16}{facts['processor']}"

    yield "[bold]devices[/], the best first"
    devices = available()
    if fault is not None:
        yield f"  [red]{escape(printable(fault))}[/]"
        yield "  without JAX_PLATFORMS JAX finds:"
    for kind, found in devices.items():
        yield f"  {kind:16}{len(found)} x {found[0].device_kind}"
    for kind in KINDS:
        if kind not in devices and kind in REMEDIES:
            yield escape(f"  {kind:16}none; to install JAX for one: {REMEDIES[kind]}")

    yield "[bold]precision[/]"
    yield f"  {'default float':16}{default_float()}"
    yield f"  {'matmul':16}{facts['matmul precision']}"

    yield "[bold]settings[/]"
    for name in ("JAX_PLATFORMS", "XLA_FLAGS"):
        yield escape(f"  {name:16}{printable(os.environ.get(name, 'not set'))}")

    yield "[bold]compiled programs[/]"
    yield escape(printable(f"  {_compiled()}"))

    yield "[bold]missing[/]"
    yield from list(_missing(set(devices))) or ["  nothing"]


def _start() -> DeviceError | None:
    """Start JAX, if necessary without ``JAX_PLATFORMS``; return the error of the first attempt.

    Raises:
        DeviceError: JAX does not start without it either.
    """
    try:
        start()
    except DeviceError as fault:
        jax.config.update("jax_platforms", None)
        start()
        return fault
    return None


def _compiled() -> str:
    """The folder of the cached programs, and their size."""
    folder = compiled_folder()
    if folder is None:
        return "not cached: the compilation cache is disabled"
    if "://" in folder:
        return folder
    sizes = [path.stat().st_size for path in Path(folder).rglob("*") if path.is_file()]
    files = f"{len(sizes)} file{'s' * (len(sizes) != 1)}"
    return f"{folder}: {files}, {sum(sizes) / 1e6:.1f} MB; it can be deleted at any time"


def _missing(kinds: set[str]) -> Iterator[str]:
    for package, (use, extra) in OPTIONAL.items():
        if installed(package) is None:
            yield escape(f"  {package}, for {use}: {how_to_install(extra)}")
    if "gpu" not in kinds and shutil.which("nvidia-smi"):
        yield escape(f"  JAX for the NVIDIA GPU of this machine: {REMEDIES['gpu']}")
