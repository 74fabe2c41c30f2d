"""The scan of linear cells, in parallel over time."""

from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp

from jax_rnn.base.arguments import check_count
from jax_rnn.base.typing import Array, CarryT, is_symbolic
from jax_rnn.cells.base import Cell, call
from jax_rnn.cells.inputs import example, shape_of
from jax_rnn.cells.linear import Blocks, LinearCell
from jax_rnn.cells.randomness import draw_step
from jax_rnn.cells.states import check_result
from jax_rnn.scans.base import Constants, Inputs, Scan, Unsupported
from jax_rnn.scans.recurrence import Plan, linear_recurrence, times
from jax_rnn.scans.sizes import is_wide, steps_of
from jax_rnn.scans.step import noise_of, over_time, project_all, where_rows

__all__ = ["Associative"]


@dataclass(frozen=True)
class Associative(Scan):
    """The scan of a ``LinearCell``: all coefficients at once, and the recurrence over time.

    Args:
        parallel: bool, whether the recurrence is an associative scan, or a loop over the steps that
            does nothing else; None (default) is a loop on a CPU, where it is faster, and an
            associative scan on other platforms.
        blocks: int, number of blocks of time that are computed side by side, 1 by default; with the
            number of devices that a time axis is divided among, each device computes its own block.

    Source: G. E. Blelloch, "Prefix sums and their applications", 1990.
    """

    parallel: bool | None = None
    blocks: int = 1

    def __post_init__(self):
        check_count("Associative.blocks", self.blocks)

    def supports(self, cell: Cell) -> bool | Unsupported:
        core = cell._core()
        if not isinstance(core, LinearCell):
            return Unsupported(f"expected a LinearCell, got {type(core).__name__}")
        if core is cell or _keeps_carry(cell):
            return True
        return Unsupported(
            "expected a linear recurrence, got wrappers whose on_update changes the carry of "
            f"{type(core).__name__}"
        )

    def suits(self, cell: Cell, shape: Any, platform: str) -> bool:
        core: Any = cell._core()
        return bool(self.supports(cell)) and not (platform == "cpu" and is_wide(core))

    def resolved(self, cell: Cell, shape: Any, platform: str) -> "Associative":
        if is_symbolic(steps_of(cell, shape)):  # lax.associative_scan needs a known length
            return replace(self, parallel=False, blocks=1)
        parallel = platform != "cpu" if self.parallel is None else self.parallel
        return replace(self, parallel=parallel)

    def __call__(
        self,
        cell: Cell[CarryT],
        carry: CarryT,
        inputs: Inputs,
        constants: Constants,
        *,
        reverse: bool = False,
    ) -> tuple[CarryT, Any]:
        core: Any = cell._core()
        plan = Plan(bool(self.parallel), self.blocks, reverse)
        kind: Any = type(carry)
        initial: Any = carry if constants.initial is None else constants.initial
        a, b, x = project_all(cell, inputs, constants)
        fields = zip(a, b, initial, carry, strict=True)  # pyright: ignore[reportArgumentType]
        states = kind(*(_solve(plan, inputs, *field) for field in fields))

        def outputs(noise: Any, old: Any, new: Any, x: Any) -> Any:
            context = constants.context
            y = call(core.output, new, x, noise=cell._own(noise), context=context)
            new, y = check_result(core, "coefficients", (new, y), carry)
            _, y = cell._changed(old, new, y, noise, context)
            return y.astype(core.dtype)

        old = states
        if core is not cell:
            old = jax.tree.map(lambda h, first: _before(h, first, reverse), states, carry)
            if inputs.resets is not None:
                begin = jax.tree.map(lambda h, own: jnp.broadcast_to(h, own.shape), initial, old)
                old = where_rows(inputs.resets, begin, old)
        ys: Any = over_time(outputs, inputs.noise, constants.noise, old, states, x)
        if constants.states:
            ys = ys, states
        zero = jax.tree.map(jnp.zeros_like, ys)
        last = jax.tree.map(lambda leaf: leaf[0 if reverse else -1], states)
        return last, where_rows(inputs.mask, ys, zero)


def _solve(plan: Plan, inputs: Inputs, a: Any, b: Array, initial: Array, start: Array) -> Array:
    """The states of one field of the carry, with resets and masks as coefficients."""
    unit = jnp.ones((), b.dtype)
    if isinstance(a, Blocks):
        a, unit = a.a, jnp.eye(b.shape[-1], dtype=b.dtype)
    a = a.astype(b.dtype)
    if inputs.resets is not None:
        after = times(a, jnp.broadcast_to(initial.astype(b.dtype), b.shape)) + b
        a, b = where_rows(inputs.resets, (jnp.zeros_like(a), after), (a, b))
    if inputs.mask is not None:
        a, b = where_rows(inputs.mask, (a, b), (jnp.broadcast_to(unit, a.shape), jnp.zeros_like(b)))
    return linear_recurrence(plan, a, b, start.astype(b.dtype))


def _before(states: Array, first: Array, reverse: bool) -> Array:
    """The state before each step."""
    if reverse:
        return jnp.concatenate([states[1:], first[None]])
    return jnp.concatenate([first[None], states[:-1]])


def _keeps_carry(cell: Cell) -> bool:
    """Whether the wrappers around a linear cell leave the carry that it computes."""
    core, found = cell._core(), []

    def look(key, x, y):
        noise = noise_of(*draw_step(cell, key, 0, x))
        old = core.initialize_carry(shape_of(cell._before(x, noise, None)[-1]))
        new, _ = cell._changed(old, old, y, noise, None)
        found.append(all(a is b for a, b in zip(new, old, strict=True)))

    y = jax.ShapeDtypeStruct((core.output_size,), core.dtype)
    try:
        jax.eval_shape(look, jax.random.key(0), example(cell), y)
    except Exception:  # of a wrapper that needs more than this; Sequential runs it
        return False
    return found[0]
