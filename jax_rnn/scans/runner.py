"""A cell, with the wrappers around it, over all steps."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jax_rnn.base.typing import Array, Bool, CarryT
from jax_rnn.cells.base import Cell, check_output
from jax_rnn.cells.inputs import batch_of, shape_of
from jax_rnn.cells.randomness import draw_all
from jax_rnn.scans.base import Constants, Inputs, Scan
from jax_rnn.scans.choice import chosen, named
from jax_rnn.scans.placement import like, on_batch, with_common_type
from jax_rnn.scans.step import clean, noise_of, over_time, where_rows

__all__ = ["run", "run_all", "run_step"]

PLATFORMS = ("cpu", "cuda", "rocm", "tpu")


def run(
    cell: Cell[CarryT],
    carry: CarryT,
    xs: Any,
    *,
    mask: Bool[Any, "T *batch"] | None = None,
    resets: Bool[Any, "T *batch"] | None = None,
    key: Array | None = None,
    context: Any = None,
    reverse: bool = False,
    scan: Scan | str = "auto",
) -> tuple[CarryT, Any]:
    """Run the cell over all steps.

    Args:
        cell: any ``Cell``.
        carry: the carry before the first step.
        xs: inputs, time-major: an array (T, *batch, I), or a tree of arrays.
        mask: True for valid steps. In other steps the carry does not change, the output is zero,
            and the input, even NaN, affects neither outputs nor gradients.
        resets: True for steps before which the carry goes back to that of ``initialize_carry``.
            From the end, it goes back after them, so that the same pieces are run.
        key: of ``jax.random``, for cells that draw random numbers; None is evaluation mode.
        context: tree of arrays that the cell reads in every step, see ``Cell``; None if there is
            none.
        reverse: run from the last step to the first; outputs keep their positions.
        scan: a scan, or its name.

    Returns:
        The last carry, and the outputs of all steps.
    """
    options: Any = {"mask": mask, "resets": resets, "key": key, "context": context}
    return run_all(cell, carry, xs, **options, reverse=reverse, scan=scan)[:2]


@partial(jax.jit, static_argnames=("reverse", "scan", "states"))
def run_all(
    cell: Cell[CarryT],
    carry: CarryT,
    xs: Any,
    *,
    mask: Bool[Array, "T *batch"] | None = None,
    resets: Bool[Array, "T *batch"] | None = None,
    key: Array | None = None,
    context: Any = None,
    reverse: bool = False,
    scan: Scan | str = "auto",
    states: bool = False,
) -> tuple[CarryT, Any, Any, Any]:
    """``run``, which returns the carries after all steps, with ``states``, and extras too."""
    (cell, carry), (xs, mask, resets) = with_common_type((cell, carry), (xs, mask, resets))
    first = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), xs)
    steps, batch = jax.tree.leaves(xs)[0].shape[0], batch_of(cell, first)
    noise, shared = draw_all(cell, key, steps, first)
    noise, shared = on_batch(noise, cell, xs, 1), on_batch(shared, cell, xs, 0)
    initial = None
    if resets is not None:
        resets = resets if mask is None else resets & mask
        if reverse:
            resets = jnp.concatenate([resets[1:], jnp.zeros_like(resets[:1])])
        initial = jax.tree.map(
            lambda leaf, own: leaf.astype(own.dtype), cell.initialize_carry(shape_of(first)), carry
        )
    xs, wrapped = clean(xs, mask), cell._core() is not cell
    passed = _before(cell, carry, xs, noise, shared, context) if wrapped else (xs,)
    inputs = Inputs(passed[-1], mask, resets, noise)
    constants = Constants(initial, shared, context, states)

    def call(scan: Scan) -> Any:
        def run(cell, carry, inputs, constants):
            last, outputs, *extras = scan(cell, carry, inputs, constants, reverse=reverse)
            return last, outputs, extras[0] if extras else None

        return run

    scan = named(scan)
    scans = {name: chosen(cell, shape_of(xs), scan, name) for name in PLATFORMS}
    default = scans.pop("cuda")
    others = {name: call(value) for name, value in scans.items() if value != default}
    arguments = (cell, carry, inputs, constants)
    if others:
        last, ys, extras = lax.platform_dependent(*arguments, **others, default=call(default))
    else:
        last, ys, extras = call(default)(*arguments)
    ys, every = ys if states else (ys, None)
    if wrapped:
        ys = _after(cell, ys, passed, noise, shared, context)
        ys = where_rows(mask, ys, jnp.zeros((), ys.dtype))
    check_output(cell, jax.ShapeDtypeStruct(ys.shape[1:], ys.dtype), batch)
    return last, ys, every, extras


def run_step(
    cell: Cell[CarryT], carry: CarryT, x: Any, noise: Any, *, reset: Any = None, context: Any = None
) -> tuple[CarryT, Any]:
    """One step on an input of one step, as ``run`` makes it; ``noise`` is that of ``draw_step``."""
    if reset is not None:
        carry = where_rows(reset, cell.initialize_carry(shape_of(x)), carry)
    new, y = cell._step(carry, x, noise_of(*noise), context)
    check_output(cell, y, batch_of(cell, x))
    return like(new, carry), y


def _before(
    cell: Cell, carry: Any, xs: Any, noise: Any, shared: Any, context: Any
) -> tuple[Any, ...]:
    """The inputs of every wrapper, and of the cell inside."""

    def before(noise, x):
        cell._check_read(carry, noise, context)
        return cell._before(x, noise, context)

    return over_time(before, noise, shared, xs)


def _after(
    cell: Cell, ys: Any, passed: tuple[Any, ...], noise: Any, shared: Any, context: Any
) -> Any:
    """The outputs of the outermost wrapper."""

    def after(noise, y, inputs):
        return cell._after(y, inputs, noise, context)

    return over_time(after, noise, shared, ys, passed)
