"""The layers of a stack: one or two directions each, and what may stand in them."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jax_rnn.base.typing import describe
from jax_rnn.cells.base import Cell
from jax_rnn.cells.inputs import example, lead, output_axes, shape_of
from jax_rnn.cells.wrapper import Wrapper

__all__ = ["Directions", "as_layers"]

Directions = tuple[Cell | None, Cell | None]
"""The cells of a layer, forward and backward; None if it has no such direction."""


def as_layers(layers: tuple[Any, ...]) -> list[Directions]:
    """The arguments of ``Recurrent`` as pairs, checked.

    Raises:
        TypeError, ValueError: not cells, or cells that do not fit together.
    """
    if not layers:
        raise ValueError("Recurrent: expected at least one cell, got none")
    pairs: list[Any] = [layer if isinstance(layer, tuple) else (layer, None) for layer in layers]
    for pair in pairs:
        if len(pair) != 2 or pair == (None, None):
            raise ValueError(
                "Recurrent: expected a cell, or a pair (forward, backward), of which one may be "
                f"None, got {describe(pair)}"
            )
    above: Any = None
    for pair in pairs:
        cells = [cell for cell in pair if cell is not None]
        for cell in cells:
            _check_cell(cell)
            _check_input(cell, above or cells[0])
        above = cells
    dtypes = {str(cell.dtype) for pair in pairs for cell in pair if cell is not None}
    if len(dtypes) > 1:
        raise ValueError(f"Recurrent: expected cells of one dtype, got {sorted(dtypes)}")
    return pairs


def _check_input(cell: Cell, source: Any) -> None:
    """Check that a cell reads what the first cell reads, or what the cells below return."""
    if isinstance(source, Cell):
        wanted, axes = source.input_size, source.num_feature_axes
    else:
        wanted, axes = sum(one.output_size for one in source), output_axes(source[0])
    if cell.input_size != wanted:
        raise ValueError(
            f"Recurrent: expected a cell with input_size {wanted} in this layer, "
            f"got {type(cell).__name__} with input_size {cell.input_size}"
        )
    if cell.num_feature_axes != axes:
        raise ValueError(
            "Recurrent: expected cells with the same number of feature axes, got "
            f"{sorted([axes, cell.num_feature_axes])}"
        )


def _check_cell(cell: Any) -> None:
    """Check that a scan can run the cell: pure, with a NamedTuple of numbers as its carry."""
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
            "step must be pure: implement noise and take the numbers as an argument noise of step, "
            "or use Zoneout, RecurrentDropout or VariationalDropout"
        )
    _check_noise(cell)
    carry: Any = jax.eval_shape(lambda: cell.initialize_carry(shape_of(example(cell))))
    if not hasattr(carry, "_fields"):
        raise TypeError(
            f"Recurrent: expected initialize_carry of {kind} to return a NamedTuple of arrays, "
            f"got {describe(carry)}; define one, class Carry(NamedTuple)"
        )
    for field, leaf in carry._asdict().items():
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            raise TypeError(
                f"Recurrent: expected a carry of numbers, got a PRNG key as {field} in the carry "
                f"of {kind}; implement noise and take the numbers as an argument noise of step"
            )


def _check_noise(cell: Cell) -> None:
    """Check that what the cell and its wrappers draw is used by one of their methods."""
    batch = lead(cell, example(cell))

    def draw(key: Any) -> Any:
        return cell.noise(key, batch), cell.sequence_noise(key, batch)

    drawn = jax.eval_shape(lambda: draw(jax.random.key(0)))
    if jax.tree.leaves(drawn) and not Cell._takes(cell, "noise"):
        raise TypeError(
            f"Recurrent: expected a method of {type(cell).__name__} to take the random numbers that"
            " it draws, got none with an argument noise; write e.g. update(self, gates, carry, "
            "noise=None)"
        )
    if isinstance(cell, Wrapper):
        _check_noise(cell.cell)
