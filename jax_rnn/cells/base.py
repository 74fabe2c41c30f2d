"""The contract of a cell, and cells made of two affine maps."""

from abc import abstractmethod
from typing import Any, ClassVar, Generic, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax

from jax_rnn.arguments import ConstructorSignature, check_count, check_rngs, parameter_dtype
from jax_rnn.initializers import Init, resolve
from jax_rnn.typing import (
    Array,
    CarryT,
    DTypeLike,
    Float,
    Size,
    accumulator,
    default_float,
    describe,
)

__all__ = [
    "AffineCell",
    "Cell",
    "GatedCell",
    "HiddenCarry",
    "added",
    "check_output",
    "state_parts",
    "unstack",
]


class HiddenCarry(NamedTuple):
    """The state of a cell with a hidden state only."""

    h: Float[Array, "*batch H"]


class Cell(nnx.Module, Generic[CarryT]):
    """One time step: ``(carry, x) -> (carry, y)``.

    A subclass sets ``input_size`` and ``hidden_size`` and implements the methods below; it then
    runs under every scan and layer of this library, and inside ``flax.nnx.RNN``. The carry is a
    NamedTuple of arrays, each ``(*batch, features)``.

    ``step`` must be pure: it reads parameters and does not change them, so that it works under
    ``jax.jit``, ``jax.grad``, ``jax.vmap`` and ``lax.scan``. The rows of a batch are independent.
    """

    __signature__ = ConstructorSignature()

    input_size: int
    hidden_size: int

    @property
    def output_size(self) -> int:
        """Features of ``y``; the next layer's ``input_size``."""
        return self.hidden_size

    @property
    def dtype(self) -> jnp.dtype:
        """Dtype of inputs, outputs and parameters."""
        params = jax.tree.leaves(nnx.state(self, nnx.Param))
        return jnp.dtype(params[0].dtype) if params else default_float()

    @property
    def num_feature_axes(self) -> int:
        """Number of trailing feature axes of the input, used by ``flax.nnx.RNN``."""
        return 1

    @abstractmethod
    def initialize_carry(
        self, input_shape: tuple[Size, ...], rngs: Any = None, carry_init: Any = None
    ) -> CarryT:
        """The carry before the first step, for inputs of shape ``(*batch, I)``.

        The signature is Flax's; ``rngs`` and ``carry_init`` are for random initial carries.
        """

    def project(self, x: Float[Array, "*batch I"]) -> Any:
        """The part of a step that needs no carry; a scan can run it for all steps at once."""
        return x

    @abstractmethod
    def step(self, carry: CarryT, x: Any) -> tuple[CarryT, Float[Array, "*batch O"]]:
        """The rest of the step, given the result of ``project`` for one time step."""

    def __call__(
        self, carry: CarryT, x: Float[Array, "*batch I"]
    ) -> tuple[CarryT, Float[Array, "*batch O"]]:
        carry = self._check_call(carry, x)
        new_carry, y = self.step(carry, self.project(x))
        check_output(self, y, x.shape[:-1])
        return new_carry, y

    def _check_call(self, carry: Any, x: Any) -> CarryT:
        """Check the input and the carry; return the carry in the type of the cell."""
        name = type(self).__name__
        if not isinstance(x, Array | np.ndarray):
            raise TypeError(
                f"{name}: expected the input to be an array, got {describe(x)}; use jnp.asarray"
            )
        if x.ndim < 1 or x.shape[-1] != self.input_size:
            raise ValueError(
                f"{name}: expected an input of shape (*batch, {self.input_size}), "
                f"got {x.shape}; the last axis holds the features"
            )
        if x.dtype != self.dtype:
            raise ValueError(
                f"{name}: expected an input of dtype {self.dtype}, got {x.dtype}; cast it "
                "with .astype"
            )
        wanted: Any = jax.eval_shape(lambda: self.initialize_carry(x.shape))
        parts = state_parts(carry, wanted._fields)
        if parts is None:
            raise TypeError(
                f"{name}: expected a carry {type(wanted).__name__}({', '.join(wanted._fields)}), "
                f"got {describe(carry)}; use cell.initialize_carry(x.shape)"
            )
        for field, value, leaf in zip(wanted._fields, parts, wanted, strict=True):
            if not isinstance(value, Array | np.ndarray):
                raise TypeError(
                    f"{name}: expected {field} of the carry to be an array of shape {leaf.shape}, "
                    f"got {describe(value)}; use cell.initialize_carry(x.shape)"
                )
            if jnp.shape(value) != leaf.shape:
                raise ValueError(
                    f"{name}: expected {field} of the carry to have shape {leaf.shape}, "
                    f"got {jnp.shape(value)}; use the batch size of the input"
                )
            if jnp.result_type(value) not in (leaf.dtype, self.dtype):
                raise ValueError(
                    f"{name}: expected {field} of the carry to have dtype {leaf.dtype}, "
                    f"got {jnp.result_type(value)}; cast it with .astype"
                )
        return type(wanted)(*parts)


class AffineCell(Cell[CarryT]):
    r"""A cell with torch's parameters: an affine map of the input and one of the hidden state.

    Subclasses define ``gates`` and implement ``step``. In half precision (bfloat16, float16)
    products are summed in float32, and the carry is kept in float32; outputs have the cell's dtype.

    Parameters, with the names and the layout of ``torch.nn`` (gates stacked along the first axis):
        ``weight_ih``: (G*H, I), ``weight_hh``: (G*H, H), ``bias_ih`` and ``bias_hh``: (G*H,),
        absent with ``bias=False``.

    Args:
        input_size: I, features of the input.
        hidden_size: H, features of the hidden state.
        bias: whether both maps have a bias.
        output_size: features of h, if not H; then ``weight_hh`` is (G*H, output_size).
        init: initial distribution, ``"torch"``, ``"flax"`` or an ``initializers.Scheme``.
        dtype: dtype of the parameters, inputs and outputs; None is JAX's default float.
        rngs: source of the initial values.

    Raises:
        TypeError: a size that is not an int. ValueError: a size below 1, an unknown ``init``.
    """

    gates: ClassVar[tuple[str, ...]]
    carry_type: ClassVar[type] = HiddenCarry

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        output_size: int | None = None,
        init: Init = "torch",
        dtype: DTypeLike | None = None,
        rngs: nnx.Rngs,
    ):
        check_count("input_size", input_size)
        check_count("hidden_size", hidden_size)
        check_rngs(rngs)
        self.input_size = input_size
        self.hidden_size = hidden_size
        self._output_size = hidden_size if output_size is None else output_size
        self.bias = bias
        scheme = resolve(init)
        dtype = parameter_dtype(dtype)
        gates = len(self.gates)

        def parameter(draw, fan_in):
            drawn = draw(rngs.params(), gates, hidden_size, fan_in, accumulator(dtype))
            return nnx.Param(drawn.astype(dtype))

        self.weight_ih = parameter(scheme.weight_ih, input_size)
        self.weight_hh = parameter(scheme.weight_hh, self._output_size)
        self.bias_ih = parameter(scheme.bias, input_size) if bias else None
        self.bias_hh = parameter(scheme.bias, self._output_size) if bias else None

    @property
    def output_size(self) -> int:
        return self._output_size

    @property
    def dtype(self) -> jnp.dtype:
        return jnp.dtype(self.weight_hh.dtype)

    def initialize_carry(
        self, input_shape: tuple[Size, ...], rngs: Any = None, carry_init: Any = None
    ) -> CarryT:
        """Zeros: ``h`` has ``output_size`` features, every other field ``hidden_size``."""
        batch, dtype = input_shape[:-1], accumulator(self.dtype)
        fields = cast(Any, self.carry_type)._fields
        sizes = (self.output_size if name == "h" else self.hidden_size for name in fields)
        return self.carry_type(*(jnp.zeros((*batch, size), dtype) for size in sizes))

    def project(self, x: Float[Array, "*batch I"]) -> Float[Array, "*batch G H"]:
        return self.by_gate(affine(x, self.weight_ih, self.bias_ih))

    def recur(self, h: Float[Array, "*batch O"]) -> Float[Array, "*batch G H"]:
        """The affine map of the hidden state."""
        return self.by_gate(affine(h.astype(self.dtype), self.weight_hh, self.bias_hh))

    def by_gate(self, x: Float[Array, "*batch GH"]) -> Float[Array, "*batch G H"]:
        return x.reshape(*x.shape[:-1], len(self.gates), self.hidden_size)


class GatedCell(AffineCell[CarryT]):
    r"""An affine map of the input, one of the hidden state, and an update of the two.

    .. math::
        X_t = W_{ih} x_t + b_{ih} \qquad
        H_t = W_{hh} h_{t-1} + b_{hh} \qquad
        (carry_t, y_t) = update(X_t, H_t, carry_{t-1})

    A subclass defines the gates and ``update``::

        class PlainCell(GatedCell[HiddenCarry]):
            gates = ("hidden",)

            def update(self, x, h, carry):
                (x,), (h,) = unstack(x), unstack(h)
                h = jnp.tanh(x + h)
                return HiddenCarry(h), h

    ``update`` gets ``x`` and ``h`` of shape ``(*batch, G, H)``, one row per gate in the order of
    ``gates``, and must be pure. If the carry has more fields than ``h``, set ``carry_type`` to its
    type; the field that the hidden map reads is always called ``h``.

    Parameters: those of ``AffineCell``.

    Args:
        input_size: int, I, features of the input.
        hidden_size: int, H, features of the hidden state.
        bias: bool, whether both maps have a bias; True by default.
        output_size: int, features of h; None (default) is H.
        init: initial distribution, ``"torch"`` (default), ``"flax"`` or an ``initializers.Scheme``.
        dtype: dtype of the parameters, inputs and outputs; None is JAX's default float.
        rngs: ``nnx.Rngs``, source of the initial values.

    Raises:
        TypeError: a size that is not an int. ValueError: a size below 1, an unknown init or dtype.
    """

    @abstractmethod
    def update(
        self, x: Float[Array, "*batch G H"], h: Float[Array, "*batch G H"], carry: CarryT
    ) -> tuple[CarryT, Float[Array, "*batch O"]]:
        """The equations of the cell."""

    def step(
        self, carry: CarryT, x: Float[Array, "*batch G H"]
    ) -> tuple[CarryT, Float[Array, "*batch O"]]:
        new_carry, y = self.update(x, self.recur(cast(Any, carry).h), carry)
        return new_carry, y.astype(self.dtype)


def unstack(x: Float[Array, "*batch G H"]) -> tuple[Float[Array, "*batch H"], ...]:
    """The gates of ``x``, one array each."""
    return jnp.unstack(x, axis=-2)


def state_parts(value: Any, fields: tuple[str, ...]) -> tuple[Any, ...] | None:
    """The arrays of a state, one per field; None if it is not a state with these fields.

    A state is a tuple or list in the order of the fields, or a NamedTuple with these names; a state
    with one field may also be the array itself. An ``nnx.Variable`` is replaced by its array.
    """

    def array(part: Any) -> Any:
        return part[...] if isinstance(part, nnx.Variable) else part

    several = isinstance(value, tuple | list)
    if several and len(fields) == 1 and len(value) == 1:
        several = isinstance(value[0], Array | np.ndarray | nnx.Variable)
    parts = tuple(map(array, value)) if several else (array(value),)
    fits = len(parts) == len(fields) and getattr(value, "_fields", fields) == fields
    return parts if fits else None


def check_output(cell: Cell, y: Any, batch: tuple[Size, ...]) -> None:
    """Check that ``y`` of a step has the shape ``(*batch, output_size)``.

    Only shapes are compared, so the check costs nothing in a compiled program.
    """
    shape = (*batch, cell.output_size)
    if getattr(y, "shape", None) != shape:
        method = "update" if getattr(type(cell), "step", None) is GatedCell.step else "step"
        raise ValueError(
            f"{type(cell).__name__}: expected {method} to return (carry, y) with y of shape "
            f"{shape}, (*batch, output_size), got {describe(y)}; override output_size if y has "
            "other features"
        )


def affine(
    x: Float[Array, "*batch I"],
    weight: Float[Array, "O I"] | nnx.Param,
    bias: Float[Array, " O"] | nnx.Param | None = None,
) -> Float[Array, "*batch O"]:
    """``x W^T + b``, summed in float32 if the operands are in half precision."""
    dtype = accumulator(weight.dtype)
    contract = (((x.ndim - 1,), (1,)), ((), ()))
    y = lax.dot_general(x, weight[...], contract, preferred_element_type=dtype)
    return y if bias is None else added(y, bias[...].astype(dtype))


def added(x: Float[Array, "*batch O"], bias: Float[Array, "*fewer O"]) -> Float[Array, "*batch O"]:
    """The sum, with equal ranks as required by ``jax.numpy_rank_promotion("raise")``."""
    return x + lax.expand_dims(bias, range(x.ndim - bias.ndim))
