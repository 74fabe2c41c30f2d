"""An initial state that is trained."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jax_rnn.cells.base import Cell
from jax_rnn.cells.wrapper import Wrapper
from jax_rnn.typing import CarryT, Size

__all__ = ["LearnedInitialState"]


class LearnedInitialState(Wrapper[CarryT]):
    """The cell with a trained carry before the first step, and after every reset.

    Parameters: ``initial``, one array for each field of the carry, (H,), initially the carry of the
    cell, which is zero for the cells of this library. All sequences start with the same values.

    Args:
        cell: a cell whose input has one axis of features.

    Raises:
        TypeError: not a cell. ValueError: an input with several axes of features.
    """

    def __init__(self, cell: Cell[CarryT]):
        super().__init__(cell)
        if cell.num_feature_axes != 1:
            raise ValueError(
                "LearnedInitialState: expected a cell whose input has one axis of features, got "
                f"{type(cell).__name__} with num_feature_axes {cell.num_feature_axes}"
            )
        carry: Any = cell.initialize_carry((cell.input_size,))
        self.initial = nnx.Dict({name: nnx.Param(leaf) for name, leaf in carry._asdict().items()})

    def initialize_carry(
        self, input_shape: tuple[Size, ...], rngs: Any = None, carry_init: Any = None
    ) -> CarryT:
        carry: Any = jax.eval_shape(lambda: self.cell.initialize_carry(input_shape))
        return type(carry)(
            *(
                jnp.broadcast_to(self.initial[name][...].astype(leaf.dtype), leaf.shape)
                for name, leaf in carry._asdict().items()
            )
        )
