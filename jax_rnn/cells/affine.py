"""Cells made of an affine map of the input and one of the hidden state."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

from jax_rnn.base.arguments import check_count, check_rngs, parameter_dtype
from jax_rnn.base.initializers import Init, resolve
from jax_rnn.base.typing import Array, CarryT, DTypeLike, Float, accumulator
from jax_rnn.cells.base import Cell
from jax_rnn.cells.final import final

__all__ = ["AffineCell", "added", "affine", "hidden_product", "with_transposes"]


class AffineCell(Cell[CarryT]):
    r"""A cell with torch's parameters: an affine map of the input and one of the hidden state.

    Subclasses define ``gates`` and implement ``step``. In half precision (bfloat16, float16)
    products are summed in float32, and the carry is kept in float32; outputs have the cell's dtype.

    The hidden map is dense by default. With ``heads=n`` it is block-diagonal for every gate: h is
    divided into n parts, and each part is mapped on its own, as in FlashRNN and sLSTM. With
    ``heads=hidden_size`` it is diagonal, as in IndRNN. This is a dense map whose weight is zero
    outside the blocks, with 1 / n of the parameters and operations.

    Parameters, with the names and the layout of ``torch.nn`` (gates stacked along the first axis):
        ``weight_ih``: (G*H, I), ``weight_hh``: (G*H, H / heads), ``bias_ih`` and ``bias_hh``:
        (G*H,), absent with ``bias=False``. Row j of a gate belongs to head j // (H / heads), and
        the columns are the features of h in this head.

    Args:
        input_size: I, features of the input.
        hidden_size: H, features of the hidden state.
        bias: whether both maps have a bias.
        output_size: features of h, and of y, if not H; then ``weight_hh`` is
            (G*H, output_size / heads). If only y has other features, set the attribute
            ``output_size``.
        heads: number of blocks of the hidden map; it divides H and the features of h.
        init: initial distribution, ``"torch"``, ``"flax"`` or an ``initializers.Scheme``; None
            (default) is ``default_init`` of the class, which is ``"torch"`` or what a paper uses.
        dtype: dtype of the parameters, inputs and outputs; None is JAX's default float.
        rngs: source of the initial values.

    Raises:
        TypeError: a size that is not an int; a class without ``gates`` or without a type of its
            carry. ValueError: a size below 1, heads that do not divide the sizes, an unknown
            ``init``.
    """

    gates: ClassVar[tuple[str, ...]]
    default_init: ClassVar[Init] = "torch"
    """Initial distribution of the parameters, where ``init`` is None."""
    transposes: bool = False
    """Whether dense products are traced as ``x @ W.T``, with an explicit transpose.

    The values are the same. XLA on CPU needs fewer operations for a row times a tiny weight then,
    but in a loop it would transpose the weight again in every step.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        output_size: int | None = None,
        heads: int = 1,
        init: Init | None = None,
        dtype: DTypeLike | None = None,
        rngs: nnx.Rngs,
    ):
        check_gates(type(self))
        check_count("input_size", input_size)
        check_count("hidden_size", hidden_size)
        check_rngs(rngs)
        self.input_size = input_size
        self.hidden_size = hidden_size
        state_size = hidden_size
        if output_size is not None:
            check_count("output_size", output_size)
            self.output_size = state_size = output_size
        check_count("heads", heads)
        if hidden_size % heads or state_size % heads:
            raise ValueError(
                f"heads: expected a divisor of hidden_size {hidden_size}"
                + ("" if output_size is None else f" and of the {output_size} features of h")
                + f", got {heads}"
            )
        self.heads = heads
        self.bias = bias
        scheme = resolve(self.default_init if init is None else init)
        dtype = parameter_dtype(dtype)
        gates = len(self.gates)

        def parameter(draw, fan_in):
            drawn = draw(rngs.params(), gates, hidden_size, fan_in, accumulator(dtype))
            return nnx.Param(drawn.astype(dtype))

        self.weight_ih = parameter(scheme.weight_ih, input_size)
        self.weight_hh = parameter(scheme.weight_hh, state_size // heads)
        self.bias_ih = parameter(scheme.bias, input_size) if bias else None
        bias_hh = scheme.bias_hh or scheme.bias
        self.bias_hh = parameter(bias_hh, state_size // heads) if bias else None

    @property
    @final("it is the dtype of the parameters, an argument of the constructor")
    def dtype(self) -> jnp.dtype:
        return jnp.dtype(self.weight_hh.dtype)

    def initialize_carry(
        self, input_shape: Any, rngs: Any = None, carry_init: Any = None
    ) -> CarryT:
        """Zeros: ``h`` has the features that the hidden map reads, every other field H."""
        batch, dtype = input_shape[:-1], accumulator(self.dtype)
        kind: Any = self.carry_type
        widths = {"h": self.weight_hh.shape[1] * self.heads}
        sizes = (widths.get(name, self.hidden_size) for name in kind._fields)
        return kind(*(jnp.zeros((*batch, size), dtype) for size in sizes))

    def project(self, x: Float[Array, "*batch I"]) -> tuple[Float[Array, "*batch H"], ...]:
        """The affine map of the input, an array for each gate."""
        return self.by_gate(affine(x, self.weight_ih, self.bias_ih, self.transposes))

    def recur(
        self, h: Float[Array, "*batch O"], gates: tuple[str, ...] | None = None
    ) -> tuple[Float[Array, "*batch H"], ...]:
        """The affine map of the hidden state, an array for each gate, or for each of ``gates``."""
        weight: Any = self.weight_hh[...]
        bias: Any = None if self.bias_hh is None else self.bias_hh[...]
        if gates is not None and gates != self.gates:
            weight, bias = (self._of(parameter, gates) for parameter in (weight, bias))
        sizes = self.hidden_size, self.heads
        y = hidden_product(h.astype(self.dtype), weight, *sizes, self.transposes)
        y = y if bias is None else added(y, bias.astype(y.dtype))
        if gates is not None:
            return tuple(jnp.split(y, y.shape[-1] // self.hidden_size, axis=-1))
        return self.by_gate(y)

    def _of(self, parameter: Array | None, gates: tuple[str, ...]) -> Array | None:
        if parameter is None:
            return None
        blocks = jnp.split(parameter, len(self.gates))
        return jnp.concatenate([blocks[self.gates.index(name)] for name in gates])

    def by_gate(self, x: Float[Array, "*batch GH"]) -> tuple[Float[Array, "*batch H"], ...]:
        """The features of every gate, which both maps compute side by side."""
        return tuple(jnp.split(x, len(self.gates), axis=-1))


def with_transposes(cell: Cell) -> Cell:
    """A copy of a cell, also in wrappers, whose affine maps have ``transposes``."""
    copy: Any = jax.tree.map(lambda leaf: leaf, cell)
    if isinstance(copy._core(), AffineCell):
        copy._core().transposes = True
    return copy


def check_gates(kind: type[AffineCell]) -> None:
    """Check that a class has defined what its cells are made of."""
    gates = getattr(kind, "gates", ())
    if isinstance(gates, str) or not gates or not all(isinstance(name, str) for name in gates):
        raise TypeError(
            f"{kind.__name__}: expected gates to be a tuple of names, got {gates!r}; write e.g. "
            'gates = ("r", "z", "n") in the class'
        )
    unknown = set(getattr(kind, "separate", ())) - set(gates)
    if unknown:
        raise TypeError(
            f"{kind.__name__}: expected separate to list some of the gates {gates}, got "
            f"{kind.separate!r}"  # pyright: ignore[reportAttributeAccessIssue]
        )
    if not hasattr(kind, "carry_type"):
        raise TypeError(
            f"{kind.__name__}: expected the type of its carry as a type parameter, got none; write "
            f"e.g. class {kind.__name__}({kind.__mro__[1].__name__}[HiddenCarry])"
        )
    if "h" not in kind.carry_type._fields:  # pyright: ignore[reportAttributeAccessIssue]
        raise TypeError(
            f"{kind.__name__}: expected a carry with a field h, which the hidden map reads, got "
            f"{kind.carry_type.__name__}; call this field h"
        )


def affine(
    x: Float[Array, "*batch I"],
    weight: Float[Array, "O I"] | nnx.Param,
    bias: Float[Array, " O"] | nnx.Param | None = None,
    transposed: bool = False,
) -> Float[Array, "*batch O"]:
    """``x W^T + b``, summed in float32 if the operands are in half precision."""
    y = _dense(x, weight[...], transposed)
    return y if bias is None else added(y, bias[...].astype(y.dtype))


def hidden_product(
    h: Float[Array, "*batch O"],
    weight: Float[Array, "GH K"],
    hidden_size: int,
    heads: int,
    transposed: bool = False,
) -> Float[Array, "*batch GH"]:
    """``h W^T``, where W is dense, or block-diagonal for every gate if there are several heads."""
    dtype = accumulator(weight.dtype)
    if heads == 1:
        return _dense(h, weight, transposed)
    batch, (rows, size), gates = h.shape[:-1], weight.shape, weight.shape[0] // hidden_size
    if size == 1 and heads == hidden_size:
        weight = lax.expand_dims(weight.reshape(gates, heads).astype(dtype), range(len(batch)))
        return (lax.expand_dims(h.astype(dtype), (h.ndim - 1,)) * weight).reshape(*batch, rows)
    h = h.reshape(*batch, heads, size)
    weight = weight.reshape(gates, heads, -1, size)
    over = (((h.ndim - 1,), (3,)), ((h.ndim - 2,), (1,)))
    y = lax.dot_general(
        h, weight, over, preferred_element_type=dtype
    )  # (heads, *batch, G, H/heads)
    return jnp.moveaxis(y, 0, -2).reshape(*batch, rows)


def _dense(x: Array, weight: Array, transposed: bool = False) -> Array:
    """``x W^T``, also with an explicit transpose."""
    dtype = accumulator(weight.dtype)
    if transposed:
        return jnp.matmul(x, weight.T, preferred_element_type=dtype)
    contract = (((x.ndim - 1,), (1,)), ((), ()))
    return lax.dot_general(x, weight, contract, preferred_element_type=dtype)


def added(x: Float[Array, "*batch O"], bias: Float[Array, "*fewer O"]) -> Float[Array, "*batch O"]:
    """The sum, with equal ranks as required by ``jax.numpy_rank_promotion("raise")``."""
    return x + lax.expand_dims(bias, range(x.ndim - bias.ndim))
