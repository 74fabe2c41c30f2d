"""Cells made of two affine maps and an update, whose gates are accessed by name."""

from abc import abstractmethod
from collections import namedtuple
from functools import cache
from typing import Any, ClassVar, NamedTuple

import jax

from jax_rnn.cells.affine import AffineCell
from jax_rnn.cells.base import Noise
from jax_rnn.typing import Array, CarryT, Float

__all__ = ["GatedCell", "Maps", "is_gated", "step_gates"]


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
    the carry that the hidden map reads is always called ``h``. A cell with random numbers takes
    them as a third argument, ``update(gates, carry, noise)``, see ``Cell``.

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

    @abstractmethod
    def update(self, gates: Any, carry: CarryT) -> tuple[CarryT, Float[Array, "*batch O"]]:
        """The equations of the cell."""

    def step(
        self,
        carry: CarryT,
        x: tuple[Float[Array, "*batch H"], ...],
        noise: Noise | None = None,
    ) -> tuple[CarryT, Float[Array, "*batch O"]]:
        new_carry, y = step_gates(self, self, carry, x, noise)
        return new_carry, y.astype(self.dtype)

    def read(self, carry: CarryT, noise: Noise | None = None) -> Float[Array, "*batch O"]:
        """The argument of the hidden map."""
        return carry.h  # pyright: ignore[reportAttributeAccessIssue]

    def updated(self, gates: tuple[Any, ...], carry: CarryT, noise: Noise | None) -> Any:
        """``update`` of gates in their order."""
        named = named_gates(type(self).gates)(*gates)
        try:
            return self.update(named, carry, *(() if noise is None else (noise,)))
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


def is_gated(cell: Any) -> bool:
    """Whether a cell is a ``GatedCell`` whose steps are two affine maps and an ``update``."""
    kind = type(cell)
    return issubclass(kind, GatedCell) and all(
        getattr(kind, name) is getattr(GatedCell, name)
        for name in ("project", "recur", "by_gate", "step", "read", "updated")
    )


def step_gates(cell: Any, core: Any, carry: Any, x: Any, noise: Noise | None) -> tuple[Any, Any]:
    """A step of a gated cell, or of wrappers (``cell``) around it (``core``)."""
    h = core.recur(cell.read(carry, noise))
    gates = tuple(
        Maps(a, b) if name in core.separate else a + b
        for name, a, b in zip(core.gates, x, h, strict=True)
    )
    return cell.updated(gates, carry, noise)


@cache
def named_gates(names: tuple[str, ...]) -> Any:
    """The type of the argument ``gates`` of ``update``."""
    return namedtuple("Gates", names)
