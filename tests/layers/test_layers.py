"""Layers against torch.nn: values, states, every gradient."""

from functools import partial
from itertools import product
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jax_rnn import (
    GRU,
    LSTM,
    RNN,
    GRUCell,
    Recurrent,
    load_torch_state_dict,
    torch_state_dict,
)
from jax_rnn.scans import Gated
from tests.kit import cases, normal

torch = pytest.importorskip("torch")

I, H, B, T = 3, 4, 2, 5  # noqa: E741

LAYERS = {
    "tanh": (RNN, torch.nn.RNN),
    "relu": (partial(RNN, nonlinearity="relu"), partial(torch.nn.RNN, nonlinearity="relu")),
    "lstm": (LSTM, torch.nn.LSTM),
    "gru": (GRU, torch.nn.GRU),
}
every_layer = pytest.mark.parametrize("kind", LAYERS)


class Case(NamedTuple):
    """How a layer is called."""

    batch_first: bool
    batched: bool
    hx: bool

    def sequence(self, time_major):
        """(T, B, features) as this case lays it out."""
        if not self.batched:
            return time_major[:, 0]
        return np.swapaxes(time_major, 0, 1) if self.batch_first else time_major

    def state(self, leaf):
        """(L, B, H) as this case lays it out."""
        return leaf if self.batched else leaf[:, 0]

    def data(self, kind, layers, dtype):
        """Input, hx, and cotangents of output and h_n."""
        fields = range(2 if kind == "lstm" else 1)
        hx, dstate = (
            tuple(self.state(normal(layers, B, H, seed=s + k).astype(dtype)) for k in fields)
            for s in (1, 3)
        )
        x, dy = (self.sequence(normal(T, B, size, seed=5).astype(dtype)) for size in (I, H))
        return x, hx if self.hx else None, dy, dstate


CASES = [
    Case(batch_first, batched, hx)
    for (batch_first, batched), hx in product(
        [(False, True), (True, True), (True, False)], [False, True]
    )
]
SOME_CASES = [CASES[k] for k in (1, 2, 5)]
"""Every layout; with hx and without."""


def as_argument(state):
    """A tuple of states as torch.nn takes and returns it: a single one bare."""
    return state[0] if state is not None and len(state) == 1 else state


def theirs(kind, module, case, dtype):
    x, hx, dy, dstate = case.data(kind, module.num_layers, dtype)
    x, dy, hx, dstate = jax.tree.map(torch.tensor, (np.array(x), np.array(dy), hx, dstate))
    leaves = [x, *(hx or ())]
    for leaf in leaves:
        leaf.requires_grad_()
    module.zero_grad()
    module.batch_first = case.batch_first
    output, h_n = module(x, as_argument(hx))
    states = h_n if isinstance(h_n, tuple) else (h_n,)
    torch.autograd.backward([output, *states], [dy, *dstate])
    numpy = partial(jax.tree.map, lambda leaf: leaf.detach().numpy())
    weights = {name: value.grad.clone().numpy() for name, value in module.named_parameters()}
    return numpy([output, *states]), numpy([leaf.grad for leaf in leaves]), weights


def ours(kind, layers, case, dtype):
    """``(layers in both layouts) -> value and gradients``, to be compiled."""
    x, hx, dy, dstate = case.data(kind, len(layers[False].cells), dtype)
    out, vjp = jax.vjp(
        lambda layer, x, hx: layer(x, hx), layers[case.batch_first], x, as_argument(hx)
    )
    dlayer, dx, dhx = vjp(jax.tree.unflatten(jax.tree.structure(out), (dy, *dstate)))
    return out, jax.tree.leaves((dx, dhx)), nnx.state(dlayer)


@cases(
    ("num_layers", "bias", "cases"),
    [(1, True, SOME_CASES), (2, True, CASES), (3, False, SOME_CASES)],
    short=1,
)
@every_layer
def test_values_states_and_gradients_are_torchs(kind, num_layers, bias, cases, x64, close):
    check_parity(kind, num_layers, bias, cases, np.float64, partial(close, tolerance=1e-11))


@pytest.mark.long
@every_layer
def test_float32_is_torchs_to_a_few_roundings(kind, close):
    # One rounding is 6e-8 of a value. Gradients of two layers over five steps add up some
    # hundred products of size up to about ten, rounded in another order by the other library.
    check_parity(kind, 2, True, SOME_CASES, np.float32, partial(close, tolerance=1e-5))


def check_parity(kind, num_layers, bias, cases, dtype, close):
    build, reference = LAYERS[kind]
    torch.manual_seed(num_layers)
    module = reference(I, H, num_layers, bias=bias).to(getattr(torch, np.dtype(dtype).name))
    layers = {
        batch_first: build(I, H, num_layers, bias=bias, batch_first=batch_first, rngs=nnx.Rngs(1))
        for batch_first in (False, True)
    }
    for layer in layers.values():
        load_torch_state_dict(layer, module.state_dict())

    run = jax.jit(lambda layers: [ours(kind, layers, case, dtype) for case in cases])
    for case, (out, inputs, state) in zip(cases, run(layers), strict=True):
        weights = torch_state_dict(layers[False], state)
        assert out[0].dtype == dtype
        result = (jax.tree.leaves(out), inputs, weights)
        close(result, theirs(kind, module, case, dtype))


@pytest.mark.parametrize("kind", ["tanh", "lstm", "gru"])
def test_batch_of_three_with_one_layer_takes_one_state_a_sequence(kind, unchecked):
    layer = LAYERS[kind][0](I, H, batch_first=True, rngs=nnx.Rngs(0))
    fields = 2 if kind == "lstm" else 1
    input = jnp.asarray(normal(3, T, I), jnp.float32)
    hx = [jnp.asarray(normal(1, 3, H, seed=k), jnp.float32) for k in range(fields)]
    output, h_n = layer(input, as_argument(tuple(hx)))
    assert output.shape == (3, T, H)
    assert all(leaf.shape == (1, 3, H) for leaf in jax.tree.leaves(h_n))
    turned = [leaf.swapaxes(0, 1) for leaf in hx]
    with pytest.raises(ValueError, match=r"shape \(1, 3, 4\).*got a float32 array of shape \(3, 1"):
        layer(input, as_argument(tuple(turned)))


def test_unrolled_layer_gives_the_same(x64, close):
    plain, unrolled = (
        LSTM(I, H, 2, scan=scan, rngs=nnx.Rngs(0)) for scan in ("auto", Gated(unroll=3))
    )
    x = jnp.asarray(normal(T, B, I))
    close(unrolled(x), plain(x))


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
