"""Checks of the contract of ``Cell``: sizes, carries, outputs and their dtypes."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jax_rnn.cells.inputs import input_like, shape_of
from jax_rnn.testing.candidate import Candidate, Wrong, at

__all__ = ["contract", "dtypes"]

AXES = ("num_feature_axes", 0)


def contract(c: Candidate) -> None:
    cell = c.cell
    for name, least in (("hidden_size", 1), ("output_size", 1), ("input_size", 1), AXES):
        for size in jax.tree.leaves(getattr(cell, name)):
            if isinstance(size, bool) or not isinstance(size, int) or size < least:
                raise Wrong(f"{name} = {size!r}", f"make {name} an int above {least - 1}")
    for batch in ((), (c.batch,), (2, c.batch)):
        _check_initial(cell.initialize_carry(shape_of(c.example(*batch))), batch)
    _, y = cell(c.initial, at(c.xs, 0), c.context)
    _check_dtype(y, cell.dtype)
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


def _check_dtype(y: Any, dtype: Any) -> None:
    if y.dtype != dtype:
        raise Wrong(
            f"y of dtype {y.dtype} from a cell of dtype {dtype}",
            "return y.astype(self.dtype) from step, and use no constant dtype",
        )


def dtypes(c: Candidate) -> None:
    cell = c.original
    with jax.enable_x64(cell.dtype in (jnp.float64, jnp.complex128)):
        x = input_like(cell, shape_of(c.example(c.batch)))
        before = jax.eval_shape(lambda: cell.initialize_carry(shape_of(x)))
        context = c.original_context
        _, y = jax.eval_shape(lambda *args: nnx.clone(cell)(*args), before, x, context)
    _check_dtype(y, cell.dtype)
