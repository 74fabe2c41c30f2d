"""Layers against torch.nn, by the oracle of ``tools.fuzz``: values, states, every gradient."""

from itertools import product

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from jax_rnn import GRU, LSTM, RNN, GRUCell, Recurrent
from tests.kit import cases, normal

pytest.importorskip("torch")
from tools import fuzz

I, H, B, T = 3, 4, 2, 5  # noqa: E741

KINDS = "RNN tanh", "RNN relu", "LSTM", "LSTM proj", "GRU"
OPTIONS = [
    {"num_layers": 2, "bidirectional": True, "hx": True},
    {"num_layers": 2, "bidirectional": False, "batch_first": True},
    {"bias": False, "hx": False, "lengths": "none"},
    {"batched": False, "lengths": "none"},
    {"batched": False, "batch_first": True},
    {"bidirectional": True, "lengths": "mixed", "padding": "nan", "batch_first": True},
    {"bidirectional": False, "lengths": "zero", "padding": "numbers"},
    {"bidirectional": True, "lengths": "zero", "hx": True},
    {"lengths": "zero", "hx": False},
    {"bidirectional": True, "lengths": "equal"},
    {"bidirectional": True, "lengths": "full"},
    {"bidirectional": True, "lengths": "beyond"},
    {"batched": False, "lengths": "mixed"},
    {"batched": False, "lengths": "zero"},
    {"num_layers": 2, "dtype": "float32"},
    {"dtype": "bfloat16"},
]


@cases(("wanted", "kind"), product(OPTIONS, KINDS), short=7, ids=str)
def test_values_states_gradients_and_steps_of_adam_are_torchs(wanted, kind):
    fuzz.run(fuzz.simplest(layer=kind, **wanted))


def as_argument(state):
    """A tuple of states as torch.nn takes and returns it: a single one bare."""
    return state[0] if len(state) == 1 else state


@pytest.mark.parametrize("kind", [RNN, LSTM, GRU])
def test_batch_of_three_with_one_layer_takes_one_state_a_sequence(kind, unchecked):
    layer = kind(I, H, batch_first=True, rngs=nnx.Rngs(0))
    fields = 2 if kind is LSTM else 1
    input = jnp.asarray(normal(3, T, I), jnp.float32)
    hx = [jnp.asarray(normal(1, 3, H, seed=k), jnp.float32) for k in range(fields)]
    output, h_n = layer(input, as_argument(tuple(hx)))
    assert output.shape == (3, T, H)
    assert all(leaf.shape == (1, 3, H) for leaf in jax.tree.leaves(h_n))
    turned = [leaf.swapaxes(0, 1) for leaf in hx]
    with pytest.raises(ValueError, match=r"shape \(1, 3, 4\).*got a float32 array of shape \(3, 1"):
        layer(input, as_argument(tuple(turned)))


def test_recurrent_of_cells_is_the_layer_of_that_name(x64, close):
    layer = GRU(I, H, 2, rngs=nnx.Rngs(0))
    x, hx = jnp.asarray(normal(T, B, I)), jnp.asarray(normal(2, B, H))
    close(Recurrent(*layer.cells)(x, hx), layer(x, hx))
    below, hidden = Recurrent(layer.cells[0])(x, hx[:1])
    above, further = Recurrent(layer.cells[1])(below, hx[1:])
    close((above, jnp.concatenate([hidden, further])), layer(x, hx))


def test_layer_knows_its_sizes():
    layer = Recurrent(GRUCell(I, H, rngs=nnx.Rngs(0)), GRUCell(H, H, rngs=nnx.Rngs(1)))
    assert (layer.num_layers, layer.input_size, layer.hidden_size) == (2, I, H)
