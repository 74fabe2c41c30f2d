"""The choice of the scan, for the platform that a program is lowered for."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jax_rnn.cells.base import Cell
from jax_rnn.randomness import draw
from jax_rnn.scans.associative import Associative
from jax_rnn.scans.base import Constants, Inputs, Scan
from jax_rnn.scans.gated import Gated
from jax_rnn.scans.placement import placed
from jax_rnn.scans.sequential import Sequential
from jax_rnn.scans.step import clean
from jax_rnn.typing import Array, Bool, CarryT, Float, Size

__all__ = ["AUTO", "check_scan", "chosen", "run"]

AUTO: tuple[Scan, ...] = (Associative(), Gated(), Sequential())
"""``scan="auto"`` is the first of these that supports the cell, the shape and the platform."""

NAMES: dict[str, Scan] = {
    "associative": Associative(),
    "gated": Gated(),
    "sequential": Sequential(),
}

PLATFORMS = ("cpu", "cuda", "rocm", "tpu")


def chosen(cell: Cell, shape: tuple[Size, ...], scan: Scan | str, platform: str) -> Scan:
    """The scan for the cell on inputs of shape (T, *batch, I), with every option resolved."""
    if scan == "auto":
        scan = next(value for value in AUTO if value.suits(cell, shape, platform))
    scan = NAMES[scan] if isinstance(scan, str) else scan
    inner = scan.inner()
    if inner is not None:
        return scan.with_inner(chosen(cell, shape, inner, platform))
    return scan.tuned(cell, shape, platform)


def check_scan(scan: Any, cells: Any) -> None:
    """Check that ``scan`` is a scan or a name, and that it supports the cells."""
    if not isinstance(scan, Scan) and not (isinstance(scan, str) and scan in ("auto", *NAMES)):
        raise ValueError(
            f"scan: expected 'auto', {', '.join(map(repr, NAMES))} or a jax_rnn.scans.Scan, "
            f"got {scan!r}; 'auto' chooses by cell, size and platform"
        )
    if scan == "auto":
        return
    value = NAMES[scan] if isinstance(scan, str) else scan
    if value.inner() is not None:
        check_scan(value.inner(), cells)
    for cell in cells:
        if not value.supports(cell):
            raise ValueError(
                f"scan={scan!r}: expected {value.requires}, got {type(cell).__name__}; "
                "scan='auto' chooses one that supports it"
            )


@partial(jax.jit, static_argnames=("reverse", "scan"))
def run(
    cell: Cell[CarryT],
    carry: CarryT,
    xs: Float[Array, "T *batch_I"],
    *,
    mask: Bool[Array, "T *batch"] | None = None,
    resets: Bool[Array, "T *batch"] | None = None,
    key: Array | None = None,
    reverse: bool = False,
    scan: Scan | str = "auto",
) -> tuple[CarryT, Any]:
    """Run the cell over all steps.

    Args:
        cell: any ``Cell``.
        carry: the carry before the first step.
        xs: inputs, time-major.
        mask: True for valid steps. In other steps the carry does not change, the output is zero,
            and the input, even NaN, affects neither outputs nor gradients.
        resets: True for steps before which the carry goes back to that of ``initialize_carry``.
            From the end, it goes back after them, so that the same pieces are run.
        key: of ``jax.random``, for cells that draw random numbers; None is evaluation mode.
        reverse: run from the last step to the first; outputs keep their positions.
        scan: a scan, or its name.

    Returns:
        The last carry, and the outputs of all steps.
    """
    (cell, carry), (xs, mask, resets) = placed((cell, carry), (xs, mask, resets))
    shape, axes = xs.shape, cell.num_feature_axes
    batch = shape[1 : len(shape) - axes]
    noise, shared = draw(cell, key, shape[0], batch)
    initial = None
    if resets is not None:
        resets = resets if mask is None else resets & mask
        if reverse:
            resets = jnp.concatenate([resets[1:], jnp.zeros_like(resets[:1])])
        initial = jax.tree.map(
            lambda leaf, own: leaf.astype(own.dtype), cell.initialize_carry(shape[1:]), carry
        )
    inputs, constants = Inputs(clean(xs, mask), mask, resets, noise), Constants(initial, shared)

    def call(scan: Scan) -> Any:
        def run(cell, carry, inputs, constants):
            return scan(cell, carry, inputs, constants, reverse=reverse)

        return run

    scans = {platform: chosen(cell, shape, scan, platform) for platform in PLATFORMS}
    default = scans.pop("cuda")
    others = {name: call(value) for name, value in scans.items() if value != default}
    arguments = (cell, carry, inputs, constants)
    if others:
        return lax.platform_dependent(*arguments, **others, default=call(default))
    return call(default)(*arguments)
