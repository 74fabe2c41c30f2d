"""What the tests of layers share: every layer beside torch's, data, calls and their gradients."""

from functools import partial

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from jax_rnn import GRU, LSTM, RNN
from tests.kit import normal

torch = pytest.importorskip("torch")

I, H, P, T = 3, 4, 2, 5  # noqa: E741

LAYERS = {
    "tanh": (RNN, torch.nn.RNN),
    "relu": (partial(RNN, nonlinearity="relu"), partial(torch.nn.RNN, nonlinearity="relu")),
    "lstm": (LSTM, torch.nn.LSTM),
    "proj": (partial(LSTM, proj_size=P), partial(torch.nn.LSTM, proj_size=P)),
    "gru": (GRU, torch.nn.GRU),
}


def build(kind, *options, **keywords):
    return LAYERS[kind][0](I, H, *options, rngs=nnx.Rngs(0), **keywords)


def array(*shape, seed=0, dtype=None):
    return jnp.asarray(normal(*shape, seed=seed), dtype)


def initial_state(layer, *batch):
    """A random one, as ``layer`` takes it."""
    states = layer.num_layers * (2 if layer.bidirectional else 1)
    zero = layer.cells[0].initialize_carry((*batch, layer.input_size))
    hx = [array(states, *x.shape, seed=k, dtype=layer.dtype) for k, x in enumerate(zero)]
    return tuple(hx) if len(hx) > 1 else hx[0]


@jax.jit
def call(layer, x, hx=None, lengths=None, rngs=None):
    return layer(x, hx, lengths=lengths, rngs=rngs)


def weighted(out):
    """A number that depends on every value of the result, on each with another weight."""
    leaves = jax.tree.leaves(out)
    return sum((y * normal(*y.shape, seed=9).astype(y.dtype)).sum() for y in leaves)
