"""The contract of a cell: one time step."""

from abc import abstractmethod
from collections.abc import Callable
from functools import cache
from inspect import signature
from typing import Any, ClassVar, Generic, NamedTuple, get_args

import jax
import jax.numpy as jnp
from flax import nnx

from jax_rnn.base.arguments import ConstructorSignature
from jax_rnn.base.typing import Array, CarryT, Float, Size, default_float, describe
from jax_rnn.cells.final import CALLED, check_class, final
from jax_rnn.cells.inputs import Setting, batch_of, check_input, lead, output_axes, shape_of
from jax_rnn.cells.states import as_carry, check_result

__all__ = ["Cell", "HiddenCarry", "Noise", "call", "check_output"]


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

    A method that needs random numbers or what is the same in all steps of a call takes it as an
    argument of this name:

        noise: a ``Noise``, or None in evaluation mode; ``noise``, ``sequence_noise`` or both draw
            the numbers. Layers and scans draw them before the loop, so that they are the same under
            every scan.
        context: what a layer was called with as ``context=``, a tree of arrays, or None.

    Attributes:
        input_size: int, features of the input. For a cell that reads several arrays, a tree of ints
            (dict, tuple, NamedTuple) with the structure of the input.
        hidden_size: int, features of the hidden state.
        output_size: int, features of ``y``; ``hidden_size`` unless it is set.
        num_feature_axes: int, or a tree of ints, number of trailing axes of the input that are not
            batch axes: 1 by default, 3 for images, 0 for tokens.
        input_dtype: dtype of the input, or a tree of them, e.g. ``jnp.integer``; None, the default,
            is the dtype of the cell.
    """

    __signature__ = ConstructorSignature()

    input_size: Any = Setting()
    hidden_size: Any = Setting()
    output_size: Any = Setting(lambda cell: cell.hidden_size)
    num_feature_axes: Any = Setting(lambda cell: 1)
    input_dtype: Any = Setting(lambda cell: None)
    carry_type: ClassVar[type]
    """Type of the carry, taken from the type parameter of the class."""

    def __init_subclass__(cls, **options: Any):
        super().__init_subclass__(**options)
        check_class(cls)
        for base in cls.__dict__.get("__orig_bases__", ()):
            for argument in get_args(base):
                if isinstance(argument, type) and hasattr(argument, "_fields"):
                    cls.carry_type = argument

    @property
    def dtype(self) -> jnp.dtype:
        """Dtype of inputs, outputs and parameters."""
        params = jax.tree.leaves(nnx.state(self, nnx.Param))
        return jnp.dtype(params[0].dtype) if params else default_float()

    @abstractmethod
    def initialize_carry(
        self, input_shape: Any, rngs: Any = None, carry_init: Any = None
    ) -> CarryT:
        """The carry before the first step, for inputs of shape ``(*batch, I)``.

        For a cell that reads several arrays, ``input_shape`` is the tree of their shapes. The
        signature is Flax's; ``rngs`` and ``carry_init`` are for random initial carries.
        """

    def project(self, x: Any) -> Any:
        """The part of a step that needs no carry; a scan can run it for all steps at once."""
        return x

    @abstractmethod
    def step(self, carry: CarryT, x: Any) -> tuple[CarryT, Float[Array, "..."]]:
        """The rest of the step, given the result of ``project`` for one time step."""

    def noise(self, key: Array, batch: tuple[Size, ...]) -> Any:
        """Random numbers for one step, arrays (*batch, ...); None (default) if there are none.

        For a cell on images, ``batch`` includes the axes of the pixels.
        """
        return None

    def sequence_noise(self, key: Array, batch: tuple[Size, ...]) -> Any:
        """Random numbers for all steps of a sequence; None (default) if there are none."""
        return None

    @final("write step, or project")
    def __call__(
        self, carry: CarryT, x: Any, context: Any = None
    ) -> tuple[CarryT, Float[Array, "..."]]:
        """A step in evaluation mode."""
        name = type(self).__name__
        check_input(name, self, x)
        wanted: Any = jax.eval_shape(lambda: self.initialize_carry(shape_of(x)))
        carry = as_carry(name, "the carry", carry, wanted, self.dtype)
        new_carry, y = self._step(carry, x, None, context)
        check_output(self, y, batch_of(self, x))
        return new_carry, y

    # What wrappers change, and a scan calls: here, of a cell without wrappers around it.

    def _core(self) -> "Cell":
        return self

    def _before(self, x: Any, noise: Noise | None, context: Any) -> tuple[Any, ...]:
        """The inputs of all wrappers, from the outermost on, and that of the cell inside."""
        return (x,)

    def _after(self, y: Any, inputs: tuple[Any, ...], noise: Noise | None, context: Any) -> Any:
        """The output, given the result of ``_before``."""
        return y

    def _changed(
        self, old: CarryT, new: CarryT, y: Any, noise: Noise | None, context: Any
    ) -> tuple[CarryT, Any]:
        """The carry and the output of a step, changed by all wrappers."""
        return new, y

    def _check_read(self, carry: CarryT, noise: Noise | None, context: Any) -> None:
        """Check that no wrapper changes the argument of a hidden map that the cell has not."""

    def _own(self, noise: Noise | None) -> Noise | None:
        """Of the random numbers of wrappers and cell, those of the cell inside."""
        return noise

    def _draw(self, method: str, key: Array, x: Any) -> Any:
        """Random numbers for inputs of one step with the shapes of ``x``."""
        return getattr(self, method)(key, lead(self, x))

    def _takes(self, name: str) -> bool:
        """Whether a method of the cell, or of a wrapper, takes ``noise`` or ``context``."""
        methods = (getattr(type(self), method, None) for method in CALLED)
        found = [taken_by(m) for m in methods if callable(m) and not hasattr(m, "place")]
        return any(taken is None or name in taken for taken in found)

    def _project(self, x: Any, noise: Noise | None, context: Any) -> Any:
        return self.project(x)

    def _step(self, carry: CarryT, x: Any, noise: Noise | None, context: Any) -> tuple[CarryT, Any]:
        """One whole step of the cell with all wrappers."""
        self._check_read(carry, noise, context)
        inputs = self._before(x, noise, context)
        core = self._core()
        projected = core._project(inputs[-1], self._own(noise), context)
        new, y = core._step_inside(self, carry, projected, noise, context)
        return new, self._after(y, inputs, noise, context)

    def _step_inside(
        self, cell: "Cell", carry: CarryT, x: Any, noise: Noise | None, context: Any
    ) -> tuple[CarryT, Any]:
        """The step of ``cell``, this one or wrappers around it, from ``before`` to ``after``."""
        own = cell._own(noise)
        result = call(self.step, carry, x, noise=own, context=context)
        new, y = check_result(self, "step", result, carry)
        return cell._changed(carry, new, y, noise, context)


def call(
    method: Callable[..., Any], *arguments: Any, noise: Any = None, context: Any = None
) -> Any:
    """Call a method with the random numbers and the context, if it takes them."""
    given = {"noise": noise, "context": context}
    taken = taken_by(getattr(method, "__func__", method))
    if taken is None:  # **options, which may be passed on to a method without them
        return method(*arguments, **{k: value for k, value in given.items() if value is not None})
    return method(*arguments, **{name: given[name] for name in taken})


@cache
def taken_by(function: Callable[..., Any]) -> tuple[str, ...] | None:
    """Which of ``noise`` and ``context`` a function takes; None if it takes any."""
    parameters = signature(function).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return None
    return tuple(name for name in ("noise", "context") if name in parameters)


def check_output(cell: Cell, y: Any, batch: tuple[Size, ...]) -> None:
    """Check that ``y`` of a step has the shape ``(*batch, output_size)``.

    Only shapes are compared, so the check costs nothing in a compiled program.
    """
    inner = output_axes(cell) - 1
    shape = y.shape
    free = tuple(shape[len(batch) : -1])
    if len(free) != inner or shape != (*batch, *free, cell.output_size):
        method = "update" if hasattr(cell._core(), "update") else "step"
        expected = ", ".join(map(str, (*batch, *("_",) * inner, cell.output_size)))
        raise ValueError(
            f"{type(cell).__name__}: expected {method} to return (carry, y) with y of shape "
            f"({expected}), (*batch, output_size), got {describe(y)}; set output_size if y has "
            "other features"
        )
