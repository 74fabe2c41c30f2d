"""Gradients through time, in the programs of both frameworks and at the ends of float32."""

import importlib.util
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from jax_rnn import RNNCell
from jax_rnn.analysis import gradient_norms
from tests.kit import normal, rngs

I, H, B, T = 3, 5, 2, 7  # noqa: E741
EXAMPLES = Path(__file__).parents[2] / "examples"


def load(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.usefixtures("x64")
@pytest.mark.long
def test_the_programs_in_jax_and_torch_give_the_same_norms(close):
    torch = pytest.importorskip("torch")
    pytest.importorskip("matplotlib")
    ours, theirs = load("gradients_through_time"), load("gradients_through_time_torch")
    our_cells, their_cells = ours.cells(I, H, rngs()), theirs.cells(I, H)
    assert list(our_cells) == list(their_cells)
    assert [*ours.table({"GRU": np.ones(60)})] == [*theirs.table({"GRU": np.ones(60)})]
    inputs = normal(T, B, I)
    for name, cell in our_cells.items():
        other = their_cells[name].double()
        for key, value in other.state_dict().items():
            value.copy_(torch.tensor(np.asarray(getattr(cell, key)[...])))
        found = ours.norms(cell, jnp.asarray(inputs))
        assert found.shape == (T, B) and (found > 0).all()
        close(found, theirs.norms(other, torch.tensor(inputs)), 1e-9)


@pytest.mark.parametrize("scale", [1e-8, 1e8])
def test_norms_whose_squares_are_not_float32(scale):
    cell = RNNCell(I, H, nonlinearity="relu", rngs=rngs())
    cell.weight_hh[...] = scale * jnp.eye(H)
    for bias in (cell.bias_ih, cell.bias_hh):
        bias[...] = jnp.ones(H)
    norms = gradient_norms(cell, jnp.zeros((4, 1, I)))
    np.testing.assert_allclose(norms[1:, 0], np.sqrt(H) * scale ** np.array([3.0, 2, 1]), rtol=1e-5)
