"""Checks of the contract of ``Cell``: sizes, carries, outputs and their dtypes."""

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
                "y that is not finite for random inputs",
                "check for a division by zero, or a log or sqrt of negative numbers",
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
    """Check that a step returns a carry of the same form, as a scan requires."""
    if type(carry) is not type(before):
        raise Wrong(
            f"a {type(carry).__name__} after a step and a {type(before).__name__} before",
            f"return a {type(before).__name__} from step",
        )
    for name, new, old in zip(before._fields, carry, before, strict=True):
        if np.shape(new) != old.shape:
            raise Wrong(
                f"{name} of shape {np.shape(new)} after a step and {old.shape} before",
                "use the same shape of every field in step and initialize_carry",
            )
        if new.dtype != old.dtype:
            raise Wrong(
                f"{name} of dtype {new.dtype} after a step and {old.dtype} before",
                "use the dtype of the parameters, or jax_rnn.typing.accumulator of it, in both; "
                "use no constant dtype",
            )


def _check_output(y: Any, shape: tuple[int, ...], dtype: Any) -> None:
    if np.shape(y) != shape:
        raise Wrong(
            f"y of shape {np.shape(y)} instead of (*batch, output_size) = {shape}",
            "set the property output_size to the number of features that step returns (default: "
            "hidden_size), and keep the batch axes",
        )
    if y.dtype != dtype:
        raise Wrong(
            f"y of dtype {y.dtype} from a cell of dtype {dtype}",
            "return y.astype(self.dtype) from step, and use no constant dtype",
        )


def dtypes(c: Candidate) -> None:
    cell = c.original
    with jax.enable_x64(cell.dtype in (jnp.float64, jnp.complex128)):
        x = jax.ShapeDtypeStruct(c.xs.shape[1:], cell.dtype)
        before = jax.eval_shape(lambda: cell.initialize_carry(x.shape))
        carry, y = jax.eval_shape(lambda carry, x: nnx.clone(cell)(carry, x), before, x)
    _check_carry(carry, before)
    _check_output(y, (c.batch, cell.output_size), cell.dtype)
