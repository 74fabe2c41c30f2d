"""What is installed, where it runs, how precisely, and what is missing."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from rich.markup import escape

from jax_rnn.caches import compiled_folder
from jax_rnn.compare.environment import PACKAGES, environment, installed
from jax_rnn.devices import KINDS, available
from jax_rnn.typing import default_float

__all__ = ["examine"]

OPTIONAL = {
    "torch": ("`jax-rnn compare` and `sweep --framework torch`", 'pip install "jax-rnn[torch]"'),
    "matplotlib": ("--plot and --html", 'pip install "jax-rnn[plot]"'),
    "jinja2": ("--html", 'pip install "jax-rnn[plot]"'),
}
ACCELERATORS = {"gpu": 'pip install "jax[cuda13]"', "tpu": 'pip install "jax[tpu]"'}


def examine() -> Iterator[str]:
    """Lines to print, with rich's markup."""
    facts = environment()
    yield "[bold]versions[/]"
    for name in ("python", *PACKAGES):
        yield f"  {name:16}{facts[name]}"
    yield f"  {'system':16}{facts['system']}"
    yield f"  {'processor':16}{facts['processor']}"

    yield "[bold]devices[/], the best first"
    devices = available()
    for kind, found in devices.items():
        yield f"  {kind:16}{len(found)} x {found[0].device_kind}"
    for kind in KINDS:
        if kind not in devices and kind in ACCELERATORS:
            yield f"  {kind:16}none; where there is one: {escape(ACCELERATORS[kind])}"

    yield "[bold]precision[/]"
    yield f"  {'default float':16}{default_float()}"
    yield f"  {'matmul':16}{facts['matmul precision']}"

    yield "[bold]settings[/]"
    for name in ("JAX_PLATFORMS", "XLA_FLAGS"):
        yield f"  {name:16}{os.environ.get(name, 'not set')}"

    yield "[bold]compiled programs[/]"
    yield escape(f"  {_compiled()}")

    yield "[bold]missing[/]"
    yield from list(_missing(set(devices))) or ["  nothing"]


def _compiled() -> str:
    """Where they are kept, and how many bytes they take."""
    folder = compiled_folder()
    if folder is None:
        return "not kept: the compilation cache is off"
    if "://" in folder:
        return folder
    sizes = [path.stat().st_size for path in Path(folder).rglob("*") if path.is_file()]
    files = f"{len(sizes)} file{'s' * (len(sizes) != 1)}"
    return f"{folder}: {files}, {sum(sizes) / 1e6:.1f} MB; may be removed at any time"


def _missing(kinds: set[str]) -> Iterator[str]:
    for package, (use, remedy) in OPTIONAL.items():
        if installed(package) is None:
            yield escape(f"  {package}, for {use}: {remedy}")
    if "gpu" not in kinds and shutil.which("nvidia-smi"):
        yield escape(f"  JAX for the NVIDIA GPU of this machine: {ACCELERATORS['gpu']}")
