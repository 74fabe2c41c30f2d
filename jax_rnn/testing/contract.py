"""What the contract of ``Cell`` says of sizes, carries, outputs and their dtypes."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jax_rnn.testing.candidate import Candidate, Wrong

__all__ = ["contract", "dtypes"]


def contract(c: Candidate) -> None:
    cell = c.cell
    for name in ("input_size", "hidden_size", "output_size"):
        size = getattr(cell, name)
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise Wrong(f"{name} = {size!r}", f"make {name} an int above 0")
    if cell.num_feature_axes != 1:
        raise Wrong(
            f"num_feature_axes = {cell.num_feature_axes!r}",
            "leave it at 1: inputs of a cell are (*batch, input_size)",
        )
    for batch in ((), (c.batch,), (2, c.batch)):
        _check_initial(cell.initialize_carry((*batch, cell.input_size)), batch)
    for call in (lambda carry, x: cell.step(carry, cell.project(x)), cell):
        carry, y = call(c.initial, c.xs[0])
        _check_carry(carry, c.initial)
        _check_output(y, (c.batch, cell.output_size), cell.dtype)
        if not np.isfinite(y).all():
            raise Wrong(
                "y that is not finite on random inputs",
                "look for a division by zero, or the log or sqrt of what may be negative",
            )


def _check_initial(carry: Any, batch: tuple[int, ...]) -> None:
    if not isinstance(carry, tuple) or not hasattr(carry, "_fields"):
        raise Wrong(
            f"a {type(carry).__name__} from initialize_carry",
            "return a NamedTuple of arrays, e.g. HiddenCarry(h)",
        )
    for name, leaf in carry._asdict().items():  # pyright: ignore
        if not isinstance(leaf, jax.Array):
            raise Wrong(
                f"a {type(leaf).__name__} for {name} of the initial carry",
                "make every field of the carry one JAX array, e.g. with jnp.zeros",
            )
        if leaf.shape[: len(batch)] != batch:
            raise Wrong(
                f"{name} of shape {leaf.shape} from initialize_carry for a batch of shape {batch}",
                "give it the shape (*input_shape[:-1], features)",
            )


def _check_carry(carry: Any, before: Any) -> None:
    """A step returns the carry in the form it came in: a scan needs that."""
    if type(carry) is not type(before):
        raise Wrong(
            f"a {type(carry).__name__} after a step and a {type(before).__name__} before",
            f"let step return a {type(before).__name__}",
        )
    for name, new, old in zip(before._fields, carry, before, strict=True):
        if np.shape(new) != old.shape:
            raise Wrong(
                f"{name} of shape {np.shape(new)} after a step and {old.shape} before",
                "let step and initialize_carry agree on the shape of every field",
            )
        if new.dtype != old.dtype:
            raise Wrong(
                f"{name} of dtype {new.dtype} after a step and {old.dtype} before",
                "let both have the dtype of the parameters, or jax_rnn.typing.accumulator of it; "
                "write no dtype as a constant",
            )


def _check_output(y: Any, shape: tuple[int, ...], dtype: Any) -> None:
    if np.shape(y) != shape:
        raise Wrong(
            f"y of shape {np.shape(y)} instead of (*batch, output_size) = {shape}",
            "let the property output_size be the features that step returns (it is hidden_size "
            "unless overridden), and keep the axes of the batch",
        )
    if y.dtype != dtype:
        raise Wrong(
            f"y of dtype {y.dtype} from a cell of dtype {dtype}",
            "let step return y.astype(self.dtype), and write no dtype as a constant",
        )


def dtypes(c: Candidate) -> None:
    cell = c.original
    with jax.enable_x64(cell.dtype in (jnp.float64, jnp.complex128)):
        x = jax.ShapeDtypeStruct(c.xs.shape[1:], cell.dtype)
        before = jax.eval_shape(lambda: cell.initialize_carry(x.shape))
        carry, y = jax.eval_shape(lambda carry, x: nnx.clone(cell)(carry, x), before, x)
    _check_carry(carry, before)
    _check_output(y, (c.batch, cell.output_size), cell.dtype)
