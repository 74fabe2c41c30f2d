"""Checks of the input of a layer."""

from typing import Any

import numpy as np

from jax_rnn.cells.base import Cell
from jax_rnn.typing import Array, describe

__all__ = ["check_features", "check_input"]


def check_input(name: str, input: Any, cell: Cell, batch_first: bool) -> None:
    """Check the input of all steps, which ``cell`` reads."""
    axes = cell.num_feature_axes
    if not isinstance(input, Array | np.ndarray):
        raise TypeError(
            f"{name}: expected the input to be an array, got {describe(input)}; "
            "use jnp.asarray, and lengths= for sequences of different lengths"
        )
    if input.ndim < axes + 1:
        features = ", ".join(["_"] * (axes - 1) + ["I"])
        layout = f"(B, T, {features})" if batch_first else f"(T, B, {features})"
        raise ValueError(
            f"{name}: expected an input of shape {layout}, or (T, {features}) without a batch, "
            f"got {input.shape}"
        )
    check_features(name, input, cell)
    if input.shape[input.ndim - axes - 1 if batch_first else 0] == 0:
        raise ValueError(
            f"{name}: expected at least one time step, got none in shape {input.shape}"
        )


def check_features(name: str, input: Any, cell: Cell) -> None:
    """Check the number of features and the dtype of the input of one or all steps."""
    if input.shape[-1] != cell.input_size:
        raise ValueError(
            f"{name}: expected {cell.input_size} input features, got {input.shape[-1]}; the "
            "last axis of the input holds the features"
        )
    if input.dtype != cell.dtype:
        raise ValueError(
            f"{name}: expected an input of dtype {cell.dtype}, that of the parameters, "
            f"got {input.dtype}; cast the input with .astype, or build the layer with dtype="
        )
