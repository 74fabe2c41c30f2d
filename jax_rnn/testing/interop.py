"""Checks of a cell in programs of others: the loop of Flax, state dicts of PyTorch."""

from typing import Any

import jax
import numpy as np
from flax import nnx

from jax_rnn.cells.inputs import is_one_array
from jax_rnn.interop.state_dict import load_torch_state_dict, torch_state_dict
from jax_rnn.testing.advice import FLAX, NAMED
from jax_rnn.testing.candidate import Candidate, Wrong, agree, named, outcome
from jax_rnn.testing.compiled import compiled

__all__ = ["nnx_rnn", "saving"]


def nnx_rnn(c: Candidate) -> None:
    if not is_one_array(c.cell) or c.cell.num_feature_axes == 0 or c.context is not None:
        return  # Flax's loop reads one array of features, and no context
    graphdef, state = nnx.split(c.cell)

    @compiled
    def given(state, carry, xs):
        cell: Any = nnx.merge(graphdef, state)
        return nnx.RNN(cell, time_major=True, return_carry=True)(xs, initial_carry=carry)

    @compiled
    def initial(state, xs):
        cell: Any = nnx.merge(graphdef, state)
        return nnx.RNN(cell, return_carry=True)(xs)

    agree(outcome(*given(state, c.carry, c.xs)), c.run(c.carry, c.xs), "given a carry", FLAX)
    carry, ys = initial(state, np.swapaxes(c.xs, 0, 1))
    own = outcome(carry, np.swapaxes(np.array(ys), 0, 1))
    agree(own, c.run(c.initial, c.xs), "from its own initial carry", FLAX)


def saving(c: Candidate) -> None:
    other = nnx.clone(c.cell)
    nnx.update(other, jax.tree.map(lambda leaf: leaf + 1, nnx.state(other, nnx.Param)))
    load_torch_state_dict(other, torch_state_dict(c.cell))
    saved, loaded = (named(nnx.state(cell, nnx.Param)) for cell in (c.cell, other))
    lost = [name for name in saved if not np.array_equal(saved[name], loaded[name])]
    if lost:
        raise Wrong(f"other values of {', '.join(lost)}", NAMED)
