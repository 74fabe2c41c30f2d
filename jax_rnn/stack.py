"""The stack of cells of a layer."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jax_rnn.cells.base import Cell
from jax_rnn.typing import describe

__all__ = ["Stack"]


class Stack(nnx.Module):
    """Cells of one or several layers, in one or both directions.

    Args:
        layers: the cells of every layer: one, or two, the second of which reads from the end.
    """

    def __init__(self, layers: list[tuple[Cell, ...]]):
        _check_layers(layers)
        self.cells = nnx.List([layer[0] for layer in layers])
        self.reverse_cells = nnx.List([layer[1] for layer in layers if len(layer) == 2])

    @property
    def num_layers(self) -> int:
        return len(self.cells)

    @property
    def bidirectional(self) -> bool:
        return len(self.reverse_cells) > 0

    @property
    def input_size(self) -> int:
        return self.cells[0].input_size

    @property
    def hidden_size(self) -> int:
        return self.cells[-1].hidden_size

    @property
    def dtype(self) -> jnp.dtype:
        """Dtype of inputs, outputs, states and parameters."""
        return self.cells[0].dtype

    def _directions(self) -> Iterator[tuple[Cell, ...]]:
        for k, cell in enumerate(self.cells):
            yield (cell, self.reverse_cells[k]) if self.bidirectional else (cell,)

    def _cells(self) -> list[Cell]:
        return [cell for directions in self._directions() for cell in directions]


def _check_layers(layers: list[tuple[Cell, ...]]) -> None:
    """Check that all layers have the same directions and matching sizes."""
    if not layers:
        raise ValueError("Recurrent: expected at least one cell, got none")
    for cell in (cell for layer in layers for cell in layer):
        _check_cell(cell)
    axes = {cell.num_feature_axes for layer in layers for cell in layer}
    if len(axes) > 1:
        raise ValueError(
            f"Recurrent: expected cells with the same number of feature axes, got {sorted(axes)}"
        )
    dtypes = {str(cell.dtype) for layer in layers for cell in layer}
    if len(dtypes) > 1:
        raise ValueError(f"Recurrent: expected cells of one dtype, got {sorted(dtypes)}")
    directions = sorted({len(layer) for layer in layers})
    if directions not in ([1], [2]):
        raise ValueError(
            f"Recurrent: expected one or two directions, the same in all layers, got {directions}"
        )
    features = layers[0][0].input_size
    for layer in layers:
        for cell in layer:
            if cell.input_size != features:
                raise ValueError(
                    f"Recurrent: expected a cell with input_size {features} in this layer, "
                    f"got {type(cell).__name__} with input_size {cell.input_size}"
                )
        features = sum(cell.output_size for cell in layer)


def _check_cell(cell: Any) -> None:
    """Check that a scan can run the cell: pure, with one feature axis of the input."""
    kind = type(cell).__name__
    if isinstance(cell, type):
        raise TypeError(
            f"Recurrent: expected a cell, got the class {cell.__name__}; build one with "
            f"{cell.__name__}(input_size, hidden_size, rngs=nnx.Rngs(0))"
        )
    if not isinstance(cell, Cell):
        got = kind
        if isinstance(cell, nnx.RNNCellBase):
            got = f"nnx.{kind}; convert it with jax_rnn.from_flax(cell), or use nnx.RNN(cell)"
        raise TypeError(
            f"Recurrent: expected cells, or pairs (forward, backward) of them, got {got}"
        )
    if jax.tree.leaves(nnx.state(cell, nnx.RngState)):
        raise TypeError(
            f"Recurrent: expected a cell without random state, got {kind}, which holds nnx.Rngs; "
            "step must be pure: implement noise and take the numbers as a third argument of step, "
            "or use Zoneout, RecurrentDropout or VariationalDropout"
        )
    inner = (1,) * (cell.num_feature_axes - 1)
    carry: Any = jax.eval_shape(partial(cell.initialize_carry, (*inner, cell.input_size)))
    if not hasattr(carry, "_fields"):
        raise TypeError(
            f"Recurrent: expected initialize_carry of {kind} to return a NamedTuple of arrays, "
            f"got {describe(carry)}; define one, class Carry(NamedTuple)"
        )
    for field, leaf in carry._asdict().items():
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            raise TypeError(
                f"Recurrent: expected a carry of numbers, got a PRNG key as {field} in the carry "
                f"of {kind}; implement noise and take the numbers as a third argument of step"
            )
