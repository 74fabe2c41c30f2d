"""Cells made of two affine maps and an update, whose gates are accessed by name."""

from abc import abstractmethod
from collections import namedtuple
from functools import cache
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from jax_rnn.base.typing import Array, CarryT, Float, describe
from jax_rnn.cells.affine import AffineCell
from jax_rnn.cells.base import Noise, call
from jax_rnn.cells.final import final
from jax_rnn.cells.states import check_result

__all__ = ["GatedCell", "Maps"]

MAPS = "change gates in update, with separate for gates of two maps, or derive from AffineCell"


class Maps(NamedTuple):
    """Both affine maps of a gate that is listed in ``separate``."""

    x: Float[Array, "*batch H"]
    """The map of the input, with its bias."""
    h: Float[Array, "*batch H"]
    """The map of the hidden state, with its bias."""


class GatedCell(AffineCell[CarryT]):
    r"""An affine map of the input, one of the hidden state, and an update of the gates.

    .. math::
        X_t = W_{ih} x_t + b_{ih} \qquad
        H_t = W_{hh} h_{t-1} + b_{hh} \qquad
        (carry_t, y_t) = update(X_t + H_t, carry_{t-1})

    A subclass names its gates and the type of its carry, and implements ``update``::

        class GRUCell(GatedCell[HiddenCarry]):
            gates = ("r", "z", "n")
            separate = ("n",)

            def update(self, gates, carry):
                r, z = sigmoid(gates.r), sigmoid(gates.z)
                n = jnp.tanh(gates.n.x + r * gates.n.h)
                h = (1 - z) * n + z * carry.h
                return HiddenCarry(h), h

    ``gates.r`` is (*batch, H), the sum of both maps. For the gates in ``separate`` the maps are
    not added: ``gates.n.x`` and ``gates.n.h``, each (*batch, H). The tuple can be unpacked in the
    order of the gates, ``r, z, n = gates``. A separate gate costs memory in training, so list only
    those that need it.

    ``update`` must be pure. It returns the new carry and y, (*batch, output_size), which may be the
    new h or anything else; if it is the same array as the new h, it is stored once. The field of
    the carry that the hidden map reads is always called ``h``; ``hidden_input`` may return a
    function of it. Both take ``noise`` and ``context``, see ``Cell``, as further arguments if they
    need them.

    Parameters, hidden maps of several ``heads`` and arguments: those of ``AffineCell``.

    Args:
        input_size: int, I, features of the input.
        hidden_size: int, H, features of the hidden state.
        bias: bool, whether both maps have a bias; True by default.
        output_size: int, features of h; None (default) is H.
        heads: int, number of blocks of the hidden map; 1 (default) is dense, H is diagonal.
        init: initial distribution, ``"torch"`` (default), ``"flax"`` or an ``initializers.Scheme``.
        dtype: dtype of the parameters, inputs and outputs; None is JAX's default float.
        rngs: ``nnx.Rngs``, source of the initial values.

    Raises:
        TypeError: a size that is not an int; a class without ``gates``, without a type of its
            carry, or with ``separate`` gates that it does not have. ValueError: a size below 1,
            heads that do not divide it, an unknown init or dtype.
    """

    separate: ClassVar[tuple[str, ...]] = ()
    """Names of the gates whose two maps ``update`` needs separately."""

    def __init_subclass__(cls, **options: Any):
        super().__init_subclass__(**options)
        if cls.by_gate is not AffineCell.by_gate and not _splits_equally(cls):
            raise TypeError(
                f"{cls.__name__}: expected by_gate of AffineCell not to be overridden, got an "
                f"override that splits differently, which the fast scans would not call; {MAPS}"
            )

    @abstractmethod
    def update(self, gates: Any, carry: CarryT) -> tuple[CarryT, Float[Array, "*batch O"]]:
        """The equations of the cell."""

    def hidden_input(self, carry: CarryT) -> Float[Array, "*batch O"]:
        """The argument of the hidden map: h of the carry."""
        return carry.h  # pyright: ignore[reportAttributeAccessIssue]

    @final(MAPS)
    def project(self, x: Float[Array, "*batch I"]) -> tuple[Float[Array, "*batch H"], ...]:
        return super().project(x)

    @final(MAPS)
    def recur(
        self, h: Float[Array, "*batch O"], gates: tuple[str, ...] | None = None
    ) -> tuple[Float[Array, "*batch H"], ...]:
        return super().recur(h, gates)

    @final("write update")
    def step(
        self,
        carry: CarryT,
        x: tuple[Float[Array, "*batch H"], ...],
        noise: Noise | None = None,
        context: Any = None,
    ) -> tuple[CarryT, Float[Array, "*batch O"]]:
        if not isinstance(x, tuple) or len(x) != len(self.gates):
            raise TypeError(
                f"{type(self).__name__}.step: expected the result of project, an array for each of "
                f"the gates {', '.join(self.gates)}, got {describe(x)}; cell(carry, x) is a whole "
                "step"
            )
        return self._step_inside(self, carry, x, noise, context)

    def _step_inside(
        self, cell: Any, carry: CarryT, x: Any, noise: Noise | None, context: Any
    ) -> tuple[CarryT, Any]:
        h = self.recur(cell._read(carry, noise, context))
        gates = tuple(
            Maps(a, b) if name in self.separate else a + b
            for name, a, b in zip(self.gates, x, h, strict=True)
        )
        return self._update_inside(cell, gates, carry, noise, context)

    def _update_inside(
        self, cell: Any, gates: tuple[Any, ...], carry: CarryT, noise: Noise | None, context: Any
    ) -> tuple[CarryT, Any]:
        """``update`` of gates in their order, changed by the wrappers of ``cell`` around it."""
        named, own = named_gates(type(self).gates)(*gates), cell._own(noise)
        try:
            result = call(self.update, named, carry, noise=own, context=context)
        except AttributeError as error:
            if error.name in Maps._fields and isinstance(error.obj, jax.Array):
                raise AttributeError(
                    f"{type(self).__name__}: expected separate to list every gate whose maps are "
                    f"used separately, got .{error.name} of a gate that is not in {self.separate}; "
                    f'write e.g. separate = ("{self.gates[-1]}",) in the class',
                    name=error.name,
                    obj=error.obj,
                ) from error
            raise
        new, y = check_result(self, "update", result, carry)
        new, y = cell._changed(carry, new, y, noise, context)
        return new, y.astype(self.dtype)

    def _read(self, carry: CarryT, noise: Noise | None, context: Any) -> Any:
        return call(self.hidden_input, carry, noise=noise, context=context)


def _splits_equally(kind: type[GatedCell]) -> bool:
    """Whether ``by_gate`` of a class returns what that of ``AffineCell`` does."""
    cell = object.__new__(kind)
    object.__setattr__(cell, "gates", ("a", "b"))
    x = jnp.arange(4.0)
    try:
        return [part.tolist() for part in cell.by_gate(x)] == [[0, 1], [2, 3]]
    except Exception:  # of a method that needs a whole cell
        return False


@cache
def named_gates(names: tuple[str, ...]) -> Any:
    """The type of the argument ``gates`` of ``update``."""
    return namedtuple("Gates", names)
