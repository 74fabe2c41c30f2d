"""An initial state that is trained."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jax_rnn.base.typing import CarryT
from jax_rnn.cells.base import Cell
from jax_rnn.cells.inputs import example, shape_of
from jax_rnn.cells.wrapper import Wrapper

__all__ = ["LearnedInitialState"]


class LearnedInitialState(Wrapper[CarryT]):
    """The cell with a trained carry before the first step, and after every reset.

    Parameters: ``initial``, one array for each field of the carry, (H,), initially the carry of the
    cell, which is zero for the cells of this library. All sequences start with the same values, and
    so do all pixels of a cell on images, (1, 1, H).

    Args:
        cell: the cell, of any kind.

    Raises:
        TypeError: not a cell.
    """

    def __init__(self, cell: Cell[CarryT]):
        super().__init__(cell)
        carry: Any = cell.initialize_carry(shape_of(example(cell)))
        self.initial = nnx.Dict({name: nnx.Param(leaf) for name, leaf in carry._asdict().items()})

    def initialize_carry(
        self, input_shape: Any, rngs: Any = None, carry_init: Any = None
    ) -> CarryT:
        initialize = super().initialize_carry
        carry: Any = jax.eval_shape(lambda: initialize(input_shape))
        return type(carry)(
            *(
                jnp.broadcast_to(self.initial[name][...].astype(leaf.dtype), leaf.shape)
                for name, leaf in carry._asdict().items()
            )
        )
