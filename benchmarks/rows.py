"""The measured rows: three layers at six shapes, a ragged stack, a user-defined cell."""

from collections.abc import Iterator, Sequence
from itertools import product

from jax_rnn.bench.problem import KINDS, Kind, Precision, Setting

__all__ = ["FLASHRNN", "NAMES", "PRECISIONS", "QUICK", "SHAPES", "settings", "shape_name"]

SHAPES = (
    (1, 6, 5, 5),  # the lecture's ihello
    (1, 1000, 64, 64),  # one long sequence
    (32, 35, 200, 200),  # a small language model
    (64, 100, 512, 512),  # torch's fastrnns
    (64, 256, 256, 256),
    (20, 35, 650, 650),  # PTB
)
"""B, T, I, H."""

FLASHRNN = (16, 1024, 768, 768)
"""Measured on a GPU and a TPU only."""

PRECISIONS: dict[str, tuple[Precision, ...]] = {
    "cpu": ("float32",),
    "gpu": ("float32", "tf32", "bfloat16", "float16"),
    "tpu": ("float32", "bfloat16"),
}
"""By the kind of device."""


def shape_name(shape: Sequence[int]) -> str:
    return ",".join(map(str, shape))


NAMES = (*map(shape_name, SHAPES), "ragged", "custom")
QUICK = ("1,6,5,5", "32,35,200,200")


def settings(names: Sequence[str], kinds: Sequence[Kind], device: str = "cpu") -> Iterator[Setting]:
    """The settings in the order of the table. ValueError: an unknown row."""
    known = NAMES if device == "cpu" else (*NAMES, shape_name(FLASHRNN))
    for name in names:
        if name not in known:
            raise ValueError(f"--rows: expected names among {' '.join(known)}, got {name!r}")
    precisions = PRECISIONS[device]
    for precision, kind, shape in product(precisions, KINDS, (*SHAPES, FLASHRNN)):
        if kind in kinds and shape_name(shape) in names:
            yield Setting(kind, *shape, precision=precision)
    for precision, kind in product(precisions, ("LSTM", "GRU")):
        if kind in kinds and "ragged" in names:
            yield Setting(
                kind, 32, 35, 200, 200, 2, bidirectional=True, ragged=True, precision=precision
            )
    for precision, shape in product(precisions, ((32, 35, 200, 200), (64, 256, 256, 256))):
        if "LSTM" in kinds and "custom" in names:
            yield Setting("LSTM", *shape, custom=True, precision=precision)
