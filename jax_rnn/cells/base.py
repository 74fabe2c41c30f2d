"""The contract of a cell: one time step."""

from abc import abstractmethod
from typing import Any, ClassVar, Generic, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jax_rnn.arguments import ConstructorSignature
from jax_rnn.typing import Array, CarryT, Float, Size, default_float, describe

__all__ = ["Cell", "HiddenCarry", "Noise", "check_output", "state_parts"]


class HiddenCarry(NamedTuple):
    """The state of a cell with a hidden state only."""

    h: Float[Array, "*batch H"]


class Noise(NamedTuple):
    """Random numbers for one step of a cell; a field is None if the cell does not use it."""

    step: Any = None
    """Drawn for this step."""
    sequence: Any = None
    """Drawn once for all steps of the sequence."""


class Cell(nnx.Module, Generic[CarryT]):
    """One time step: ``(carry, x) -> (carry, y)``.

    A subclass names the type of its carry, ``class MyCell(Cell[MyCarry])``, sets ``input_size`` and
    ``hidden_size`` and implements ``initialize_carry`` and ``step``; it then runs under every scan
    and layer of this library, and inside ``flax.nnx.RNN``. The carry is a NamedTuple of arrays,
    each ``(*batch, *features)``.

    ``step`` must be pure: it reads parameters and does not change them, so that it works under
    ``jax.jit``, ``jax.grad``, ``jax.vmap`` and ``lax.scan``. The rows of a batch are independent.

    A cell that needs random numbers implements ``noise``, ``sequence_noise`` or both, and takes a
    third argument in ``step``, a ``Noise``, or None in evaluation mode. Layers and scans draw the
    numbers before the loop, so that they are the same under every scan.
    """

    __signature__ = ConstructorSignature()

    input_size: int
    hidden_size: int
    carry_type: ClassVar[type]
    """Type of the carry, taken from the type parameter of the class."""

    def __init_subclass__(cls, **options: Any):
        super().__init_subclass__(**options)
        for base in cls.__dict__.get("__orig_bases__", ()):
            for argument in get_args(base):
                if isinstance(argument, type) and hasattr(argument, "_fields"):
                    cls.carry_type = argument

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
    def step(self, carry: CarryT, x: Any) -> tuple[CarryT, Float[Array, "..."]]:
        """The rest of the step, given the result of ``project`` for one time step."""

    def noise(self, key: Array, batch: tuple[Size, ...]) -> Any:
        """Random numbers for one step, arrays (*batch, ...); None (default) if there are none."""
        return None

    def sequence_noise(self, key: Array, batch: tuple[Size, ...]) -> Any:
        """Random numbers for all steps of a sequence; None (default) if there are none."""
        return None

    def __call__(self, carry: CarryT, x: Float[Array, "..."]) -> tuple[CarryT, Float[Array, "..."]]:
        """A step in evaluation mode."""
        carry = self._check_call(carry, x)
        new_carry, y = self.step(carry, self.project(x))
        check_output(self, y, x.shape[: x.ndim - self.num_feature_axes])
        return new_carry, y

    def _check_call(self, carry: Any, x: Any) -> CarryT:
        """Check the input and the carry; return the carry in the type of the cell."""
        name = type(self).__name__
        if not isinstance(x, Array | np.ndarray):
            raise TypeError(
                f"{name}: expected the input to be an array, got {describe(x)}; use jnp.asarray"
            )
        axes = self.num_feature_axes
        if x.ndim < axes or x.shape[-1] != self.input_size:
            features = ", ".join(["_"] * (axes - 1) + [str(self.input_size)])
            raise ValueError(
                f"{name}: expected an input of shape (*batch, {features}), "
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
    axes = cell.num_feature_axes
    shape = getattr(y, "shape", None)
    inner = ("_",) * (axes - 1) if shape is None else tuple(shape[len(batch) : -1])
    if len(inner) != axes - 1 or shape != (*batch, *inner, cell.output_size):
        method = "update" if hasattr(cell, "update") else "step"
        expected = ", ".join(map(str, (*batch, *("_",) * (axes - 1), cell.output_size)))
        raise ValueError(
            f"{type(cell).__name__}: expected {method} to return (carry, y) with y of shape "
            f"({expected}), (*batch, output_size), got {describe(y)}; override output_size if y "
            "has other features"
        )
