"""Cells around another cell, which change what goes in and what comes out of a step."""

from typing import Any

import jax
import jax.numpy as jnp

from jax_rnn.base.typing import Array, CarryT
from jax_rnn.cells.base import Cell, Noise, call, taken_by
from jax_rnn.cells.final import final
from jax_rnn.cells.inputs import Setting, input_like, lead, of_lead
from jax_rnn.cells.states import check_result

__all__ = ["Wrapper"]

HOOK = "write before, on_read, on_update or after, which every scan calls"


class Wrapper(Cell[CarryT]):
    """A cell that runs another one and changes its steps; base class of ``Zoneout`` and others.

    A subclass overrides some of the methods ``before``, ``on_read``, ``on_update`` and ``after``,
    and ``noise`` or ``sequence_noise`` if it needs random numbers; each takes ``noise`` and
    ``context``, see ``Cell``, as arguments or leaves them out. Wrappers compose: whatever their
    order, inputs pass all ``before`` methods from the outermost to the innermost, then the cell,
    whose steps are changed by all ``on_update`` methods, and outputs pass all ``after`` methods. A
    wrapped ``GatedCell`` keeps the fast scan, and its parameters keep their names below ``cell``.

    Sizes are those of the cell unless they are set; a wrapper whose ``before`` reads other inputs
    sets ``input_size``, and ``num_feature_axes`` or ``input_dtype`` if they differ too.

    Args:
        cell: the cell, which may be a wrapper itself.
    """

    input_size: Any = Setting(lambda wrapper: wrapper.cell.input_size)
    hidden_size: Any = Setting(lambda wrapper: wrapper.cell.hidden_size)
    output_size: Any = Setting(lambda wrapper: wrapper.cell.output_size)
    num_feature_axes: Any = Setting(lambda wrapper: wrapper.cell.num_feature_axes)
    input_dtype: Any = Setting(lambda wrapper: wrapper.cell.input_dtype)

    def __init__(self, cell: Cell[CarryT]):
        if not isinstance(cell, Cell):
            raise TypeError(
                f"{type(self).__name__}: expected a cell, got {cell!r}; build one first, e.g. "
                f"{type(self).__name__}(LSTMCell(3, 4, rngs=nnx.Rngs(0)))"
            )
        self.cell = cell

    @property
    @final("it is that of the cell inside")
    def dtype(self) -> jnp.dtype:
        return self.cell.dtype

    def before(self, x: Any) -> Any:
        """The input of the cell."""
        return x

    def on_read(self, h: Array) -> Array:
        """The argument of the hidden map of a ``GatedCell``; other cells have none."""
        return h

    def on_update(self, old: CarryT, new: CarryT, y: Any) -> tuple[CarryT, Any]:
        """The new carry and the output, given those of the cell and the carry before the step."""
        return new, y

    def after(self, y: Array, x: Any) -> Array:
        """The output, given the input of this wrapper."""
        return y

    def initialize_carry(
        self, input_shape: Any, rngs: Any = None, carry_init: Any = None
    ) -> CarryT:
        inner = self._inner(input_like(self, input_shape))
        shape = jax.tree.map(lambda leaf: tuple(leaf.shape), inner)
        return self.cell.initialize_carry(shape, rngs, carry_init)

    @final(HOOK)
    def project(self, x: Any) -> Any:
        return x

    @final(HOOK)
    def step(
        self, carry: CarryT, x: Any, noise: Noise | None = None, context: Any = None
    ) -> tuple[CarryT, Any]:
        return self._step(carry, x, noise, context)

    def _core(self) -> Cell:
        return self.cell._core()

    def _before(self, x: Any, noise: Noise | None, context: Any) -> tuple[Any, ...]:
        own, inner = _split(noise)
        changed = call(self.before, x, noise=own, context=context)
        return x, *self.cell._before(changed, inner, context)

    def _after(self, y: Any, inputs: tuple[Any, ...], noise: Noise | None, context: Any) -> Any:
        own, inner = _split(noise)
        y = self.cell._after(y, inputs[1:], inner, context)
        return call(self.after, y, inputs[0], noise=own, context=context)

    def _read(self, carry: CarryT, noise: Noise | None, context: Any) -> Array:
        """The argument of the hidden map of a gated cell, changed by the wrappers around it."""
        own, inner = _split(noise)
        cell: Any = self.cell
        return call(self.on_read, cell._read(carry, inner, context), noise=own, context=context)

    def _check_read(self, carry: Any, noise: Noise | None, context: Any) -> None:
        core = self._core()
        if hasattr(core, "_read"):
            return
        own, inner = _split(noise)
        if call(self.on_read, carry[0], noise=own, context=context) is not carry[0]:
            raise TypeError(
                f"{type(self).__name__}: expected a GatedCell, whose hidden map reads what on_read "
                f"returns, got {type(core).__name__}; use before, on_update or after"
            )
        self.cell._check_read(carry, inner, context)

    def _changed(
        self, old: CarryT, new: CarryT, y: Any, noise: Noise | None, context: Any
    ) -> tuple[CarryT, Any]:
        own, inner = _split(noise)
        new, y = self.cell._changed(old, new, y, inner, context)
        result = call(self.on_update, old, new, y, noise=own, context=context)
        return check_result(self, "on_update", result, old)

    def _own(self, noise: Noise | None) -> Noise | None:
        return self.cell._own(_split(noise)[1])

    def _inner(self, x: Any) -> Any:
        """The input of the cell, of one step; shapes and dtypes only."""
        if "context" in (taken_by(type(self).before) or ()):
            return of_lead(self.cell, lead(self, x))
        return jax.eval_shape(lambda x: call(self.before, x), x)

    def _draw(self, method: str, key: Array, x: Any) -> Any:
        own = getattr(self, method)(jax.random.fold_in(key, 0), lead(self, x))
        inner = self.cell._draw(method, jax.random.fold_in(key, 1), self._inner(x))
        return None if own is None and inner is None else (own, inner)

    def _takes(self, name: str) -> bool:
        return super()._takes(name) or self.cell._takes(name)


def _split(noise: Noise | None) -> tuple[Noise | None, Noise | None]:
    """The numbers of a wrapper, and those of its cell."""
    if noise is None:
        return None, None
    steps, sequences = noise.step or (None, None), noise.sequence or (None, None)
    own, inner = (
        None if step is None and sequence is None else Noise(step, sequence)
        for step, sequence in zip(steps, sequences, strict=True)
    )
    return own, inner
