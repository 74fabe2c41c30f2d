"""The compared libraries by name; each is imported when its layer is built."""

from collections.abc import Callable
from functools import partial

from benchmarks.peers.custom import custom, custom_in_flax, custom_in_torch
from benchmarks.peers.equinox import equinox
from benchmarks.peers.flax_linen import flax_linen
from benchmarks.peers.flax_nnx import flax_nnx
from benchmarks.peers.haiku import haiku
from benchmarks.peers.keras import keras
from jax_rnn.bench.contender import Build
from jax_rnn.bench.ours import ours
from jax_rnn.bench.problem import Setting
from jax_rnn.bench.pytorch import pytorch
from jax_rnn.bench.race import OURS

__all__ = ["PEERS", "builders"]

PEERS: dict[str, Callable[..., object]] = {
    "torch": pytorch,
    "flax.nnx": flax_nnx,
    "flax.linen": flax_linen,
    "haiku": haiku,
    "equinox": equinox,
    "keras": keras,
}

CUSTOM: dict[str, Callable[..., object]] = {
    "custom cell": custom,
    "nnx.RNN(cell)": custom_in_flax,
    "torch loop": custom_in_torch,
}
"""The same equations, written as a user would."""

TORCH = (pytorch, custom_in_torch)


def builders(
    setting: Setting, peers: list[str], device: str = "cpu", pretend: bool = False
) -> dict[str, Build]:
    """jax_rnn, then the selected libraries; for a custom cell also the hand-written versions.

    Args:
        setting: the row.
        peers: names of libraries.
        device: kind of device: torch runs on a GPU through CUDA, and not on a TPU.
        pretend: whether torch runs on the CPU in place of the GPU.
    """
    found: dict[str, Callable[..., object]] = {OURS: ours}
    found |= {name: PEERS[name] for name in peers if not setting.custom or name == "torch"}
    if setting.custom:
        found |= {
            name: build
            for name, build in CUSTOM.items()
            if build is not custom_in_torch or "torch" in peers
        }
    if setting.dtype != "float32":  # half precision differs between the libraries
        found = {name: build for name, build in found.items() if build in (ours, *TORCH)}
    if device == "tpu":
        found = {name: build for name, build in found.items() if build not in TORCH}
    on_cuda = device == "gpu" and not pretend
    return {
        name: partial(build, device="cuda") if on_cuda and build in TORCH else build
        for name, build in found.items()
    }  # type: ignore[return-value]
