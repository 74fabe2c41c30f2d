"""Cells around another cell, which change what goes in and what comes out of a step."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jax_rnn.cells.base import Cell, Noise
from jax_rnn.cells.gated import is_gated, step_gates
from jax_rnn.typing import Array, CarryT, Size

__all__ = [
    "Recorded",
    "Recorder",
    "Wrapper",
    "after",
    "before",
    "changes_read",
    "core_of",
    "main",
    "wrappers_of",
]


class Wrapper(Cell[CarryT]):
    """A cell that runs another one and changes its steps; base class of ``Zoneout`` and others.

    A subclass overrides some of the methods ``draw``, ``draw_sequence``, ``before``, ``on_read``,
    ``on_update`` and ``after``. Wrappers compose: whatever their order, inputs pass all ``before``
    methods from the outermost to the innermost, then the cell, whose steps are changed by all
    ``on_update`` methods, and outputs pass all ``after`` methods. A wrapped ``GatedCell`` keeps the
    fast scan, and its parameters keep their names below ``cell``.

    Args:
        cell: the cell, which may be a wrapper itself.
    """

    def __init__(self, cell: Cell[CarryT]):
        if not isinstance(cell, Cell):
            raise TypeError(
                f"{type(self).__name__}: expected a cell, got {cell!r}; build one first, e.g. "
                f"{type(self).__name__}(LSTMCell(3, 4, rngs=nnx.Rngs(0)))"
            )
        self.cell = cell
        self.input_size = cell.input_size
        self.hidden_size = cell.hidden_size

    @property
    def output_size(self) -> int:
        return self.cell.output_size

    @property
    def dtype(self) -> jnp.dtype:
        return self.cell.dtype

    @property
    def num_feature_axes(self) -> int:
        return self.cell.num_feature_axes

    def draw(self, key: Array, batch: tuple[Size, ...]) -> Any:
        """Random numbers for one step; None (default) if there are none."""
        return None

    def draw_sequence(self, key: Array, batch: tuple[Size, ...]) -> Any:
        """Random numbers for all steps of a sequence; None (default) if there are none."""
        return None

    def before(self, x: Array, noise: Any) -> Array:
        """The input of the cell; ``noise`` is that of the sequence. x may have a time axis."""
        return x

    def on_read(self, h: Array, noise: Noise | None) -> Array:
        """The argument of the hidden map of a ``GatedCell``; h may have a time axis."""
        return h

    def on_update(
        self, old: CarryT, new: CarryT, y: Any, noise: Noise | None
    ) -> tuple[CarryT, Any]:
        """The new carry and the output; ``noise`` is None in evaluation mode."""
        return new, y

    def after(self, y: Array, x: Array) -> Array:
        """The output, given the input of the wrapper; both may have a time axis."""
        return y

    def initialize_carry(
        self, input_shape: tuple[Size, ...], rngs: Any = None, carry_init: Any = None
    ) -> CarryT:
        return self.cell.initialize_carry(input_shape, rngs, carry_init)

    def noise(self, key: Array, batch: tuple[Size, ...]) -> Any:
        return _pair(self.draw, self.cell.noise, key, batch)

    def sequence_noise(self, key: Array, batch: tuple[Size, ...]) -> Any:
        return _pair(self.draw_sequence, self.cell.sequence_noise, key, batch)

    def project(self, x: Array) -> "Projected":
        late = any(_changes(w, "before") for w in wrappers_of(self))
        keeps = late or any(_changes(w, "after") for w in wrappers_of(self))
        return Projected(x if keeps else None, None if late else core_of(self).project(x))

    def step(self, carry: CarryT, x: "Projected", noise: Noise | None = None) -> tuple[CarryT, Any]:
        raw, projected = x
        if projected is None:
            sequence = None if noise is None else noise.sequence
            projected = core_of(self).project(before(self, raw, sequence))
        core: Any = core_of(self)
        if is_gated(core):
            new, y = step_gates(self, core, carry, projected, noise)
            y = map_main(lambda y: y.astype(core.dtype), y)
        else:
            new, y = self._step_core(carry, projected, noise)
        return new, after(self, y, raw)

    def read(self, carry: CarryT, noise: Noise | None = None) -> Array:
        """As in ``GatedCell``."""
        own, inner = _split(noise)
        cell: Any = self.cell
        return self.on_read(cell.read(carry, inner), own)

    def updated(self, gates: tuple[Any, ...], carry: CarryT, noise: Noise | None) -> Any:
        """As in ``GatedCell``."""
        own, inner = _split(noise)
        cell: Any = self.cell
        new, y = cell.updated(gates, carry, inner)
        return self.on_update(carry, new, y, own)

    def _step_core(self, carry: CarryT, x: Any, noise: Noise | None) -> tuple[CarryT, Any]:
        own, inner = _split(noise)
        if isinstance(self.cell, Wrapper):
            new, y = self.cell._step_core(carry, x, inner)
        else:
            new, y = self.cell.step(carry, x, *(() if inner is None else (inner,)))
        return self.on_update(carry, new, y, own)


class Projected(NamedTuple):
    """The projected input of a wrapped cell."""

    raw: Any
    """The input itself, if a wrapper uses it."""
    projected: Any
    """The projection, unless a wrapper changes the input in every step."""


class Recorded(NamedTuple):
    """The output of a ``Recorder``."""

    y: Any
    carry: Any


class Recorder(Wrapper[CarryT]):
    """The same cell, whose output is ``Recorded(y, carry)``."""

    def on_update(
        self, old: CarryT, new: CarryT, y: Any, noise: Noise | None
    ) -> tuple[CarryT, Any]:
        return new, Recorded(y, new)


def core_of(cell: Cell) -> Cell:
    """The cell inside all wrappers."""
    while isinstance(cell, Wrapper):
        cell = cell.cell
    return cell


def wrappers_of(cell: Cell) -> Iterator[Wrapper]:
    """All wrappers around a cell, the outermost first."""
    while isinstance(cell, Wrapper):
        yield cell
        cell = cell.cell


def before(cell: Cell, x: Any, noise: Any) -> Any:
    """The input of the innermost cell."""
    for wrapper in wrappers_of(cell):
        own, noise = (None, None) if noise is None else noise
        x = wrapper.before(x, own)
    return x


def after(cell: Cell, y: Any, x: Any) -> Any:
    """The output of the outermost cell."""
    for wrapper in reversed([*wrappers_of(cell)]):
        if _changes(wrapper, "after"):
            y = map_main(lambda y, wrapper=wrapper: wrapper.after(y, x), y)
    return y


def main(y: Any) -> Any:
    """The output without recorded states."""
    return y.y if isinstance(y, Recorded) else y


def map_main(function: Callable[[Array], Array], y: Any) -> Any:
    """Apply a function to the output, not to recorded states."""
    return y._replace(y=function(y.y)) if isinstance(y, Recorded) else function(y)


def changes_read(cell: Cell) -> bool:
    """Whether a wrapper changes the argument of the hidden map."""
    return any(_changes(wrapper, "on_read") for wrapper in wrappers_of(cell))


def _changes(wrapper: Wrapper, name: str) -> bool:
    return getattr(type(wrapper), name) is not getattr(Wrapper, name)


def _pair(own: Any, inner: Any, key: Array, batch: tuple[Size, ...]) -> Any:
    """The numbers of a wrapper and those of its cell; None if there are none."""
    pair = own(jax.random.fold_in(key, 0), batch), inner(jax.random.fold_in(key, 1), batch)
    return None if pair[0] is None and pair[1] is None else pair


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
