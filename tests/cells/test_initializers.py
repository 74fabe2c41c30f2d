"""How parameters start: torch's distribution, Flax's, or one's own."""

from dataclasses import replace
from functools import partial
from math import sqrt

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jax_rnn import GRU, LSTM, RNN, Embedding, GRUCell, Linear, LSTMCell, RNNCell, torch_state_dict
from jax_rnn.base.initializers import FLAX, TORCH, Scheme, resolve
from tests.kit import refused, rngs

I, H, V = 30, 40, 50  # noqa: E741
BOUND = 1 / sqrt(H)
every_cell = pytest.mark.parametrize("cell", [RNNCell, LSTMCell, GRUCell])


def check_uniform(value, bound):
    assert np.abs(value).max() <= bound
    assert stats.kstest(value.ravel(), stats.uniform(-bound, 2 * bound).cdf).pvalue > 1e-3


PROJECTED = partial(LSTM, proj_size=3, bidirectional=True)


@pytest.mark.parametrize(
    ("kind", "count", "bound"),
    [
        *((partial(kind, num_layers=2), 8, BOUND) for kind in (RNN, LSTM, GRU)),
        (PROJECTED, 10, BOUND),
        (Linear, 2, 1 / sqrt(I)),
    ],
)
def test_parameters_start_within_torchs_bound(kind, count, bound):
    parameters = torch_state_dict(kind(I, H, rngs=rngs()))
    assert len(parameters) == count
    for value in parameters.values():
        check_uniform(value, bound)


def test_embedding_starts_as_torchs():
    (value,) = torch_state_dict(Embedding(10 * V, I, rngs=rngs())).values()
    assert stats.kstest(value.ravel(), stats.norm.cdf).pvalue > 1e-3


def test_no_two_parameters_start_equal():
    parameters = torch_state_dict(LSTM(H, H, 2, rngs=rngs()))
    rows = np.concatenate([np.atleast_2d(v.reshape(-1, H)) for v in parameters.values()])
    assert len(np.unique(rows, axis=0)) == len(rows)


@every_cell
def test_flax_scheme_has_orthogonal_gates_and_no_bias(cell, close):
    cell = cell(I, H, init="flax", rngs=rngs())
    blocks = np.asarray(cell.weight_hh).reshape(len(cell.gates), H, H)
    close(blocks @ blocks.swapaxes(1, 2), np.broadcast_to(np.eye(H), blocks.shape), 1e-5)
    assert len(np.unique(blocks, axis=0)) == len(blocks)
    for bias in (cell.bias_ih, cell.bias_hh):
        assert not np.any(bias)


@every_cell
def test_flax_scheme_has_lecun_normal_input_weights(cell):
    weight = np.asarray(cell(I, H, init="flax", rngs=rngs()).weight_ih)
    bound = 2 / 0.87962566103423978  # Flax cuts at two deviations, then widens to unit variance
    law = stats.truncnorm(-2, 2, scale=bound / 2)
    assert stats.kstest(weight.ravel() * sqrt(I), law.cdf).pvalue > 1e-3


def test_flax_scheme_of_linear_and_embedding():
    linear = torch_state_dict(Linear(I, H, init="flax", rngs=rngs()))
    assert not linear["bias"].any()
    assert linear["weight"].std() == pytest.approx(1 / sqrt(I), rel=0.05)
    (embedding,) = torch_state_dict(Embedding(10 * V, I, init="flax", rngs=rngs())).values()
    law = stats.norm(scale=1 / sqrt(I))
    assert stats.kstest(embedding.ravel(), law.cdf).pvalue > 1e-3


def forget_bias_one(key, gates, hidden_size, fan_in, dtype):
    return jnp.zeros((gates, hidden_size), dtype).at[1].set(1).reshape(-1)


def test_a_scheme_of_ones_own():
    scheme = replace(FLAX, name="forget", bias=forget_bias_one)
    ours, flax = (torch_state_dict(LSTM(I, H, init=init, rngs=rngs())) for init in (scheme, "flax"))
    bias = ours["bias_ih_l0"].reshape(4, H)
    np.testing.assert_array_equal(bias.mean(1), [0, 1, 0, 0])
    np.testing.assert_array_equal(ours["weight_hh_l0"], flax["weight_hh_l0"])


@pytest.mark.parametrize("name", ["torch", "flax"])
def test_a_name_is_its_scheme(name):
    scheme = {"torch": TORCH, "flax": FLAX}[name]
    assert resolve(name) is scheme
    assert resolve(scheme) is scheme
    assert isinstance(scheme, Scheme)
    assert scheme.name == name


BUILD = {
    "LSTM": lambda **options: LSTM(I, H, 2, **options),
    "Linear": lambda **options: Linear(I, H, **options),
    "Embedding": lambda **options: Embedding(V, I, **options),
}
every_module = pytest.mark.parametrize("build", BUILD.values(), ids=BUILD)


@every_module
def test_unknown_scheme_is_refused(build, unchecked):
    words = "expected one of ['flax', 'torch'] |got 'keras'"
    refused(ValueError, words, lambda: build(init="keras", rngs=rngs()))


@pytest.mark.parametrize("init", ["torch", "flax"])
@every_module
def test_a_seed_gives_its_weights_and_another_seed_others(build, init):
    first, again, other = (torch_state_dict(build(init=init, rngs=rngs(k))) for k in (0, 0, 1))
    for name, value in first.items():
        np.testing.assert_array_equal(value, again[name])
        fixed = init == "flax" and "bias" in name
        assert fixed or (value != other[name]).any()


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32, jnp.float64, None])
@every_module
def test_parameters_have_the_dtype_asked_for_or_jaxs(build, dtype, x64):
    found = torch_state_dict(build(dtype=dtype, rngs=rngs()))
    assert {value.dtype for value in found.values()} == {jnp.dtype(dtype or "float64")}
