"""How parameters start: torch's distribution, Flax's, or one's own."""

from dataclasses import replace
from math import sqrt

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from scipy import stats

from jax_rnn import GRU, LSTM, RNN, Embedding, GRUCell, Linear, LSTMCell, RNNCell, torch_state_dict
from jax_rnn.base.initializers import FLAX, TORCH, Scheme, resolve

I, H, V = 30, 40, 50  # noqa: E741
BOUND = 1 / sqrt(H)
every_cell = pytest.mark.parametrize("cell", [RNNCell, LSTMCell, GRUCell])


def arrays(module):
    return torch_state_dict(module)


def check_uniform(value, bound):
    assert np.abs(value).max() <= bound
    assert stats.kstest(value.ravel(), stats.uniform(-bound, 2 * bound).cdf).pvalue > 1e-3


@pytest.mark.parametrize("layer", [RNN, LSTM, GRU])
def test_every_recurrent_parameter_starts_as_torchs(layer):
    parameters = arrays(layer(I, H, 2, rngs=nnx.Rngs(0)))
    assert len(parameters) == 8
    for value in parameters.values():
        check_uniform(value, BOUND)


def test_linear_starts_as_torchs():
    parameters = arrays(Linear(I, H, rngs=nnx.Rngs(0)))
    assert set(parameters) == {"weight", "bias"}
    for value in parameters.values():
        check_uniform(value, 1 / sqrt(I))


def test_embedding_starts_as_torchs():
    (value,) = arrays(Embedding(10 * V, I, rngs=nnx.Rngs(0))).values()
    assert stats.kstest(value.ravel(), stats.norm.cdf).pvalue > 1e-3


def test_no_two_parameters_start_equal():
    parameters = arrays(LSTM(H, H, 2, rngs=nnx.Rngs(0)))
    rows = np.concatenate([np.atleast_2d(v.reshape(-1, H)) for v in parameters.values()])
    assert len(np.unique(rows, axis=0)) == len(rows)


@every_cell
def test_flax_scheme_has_orthogonal_gates_and_no_bias(cell, close):
    cell = cell(I, H, init="flax", rngs=nnx.Rngs(0))
    blocks = np.asarray(cell.weight_hh).reshape(len(cell.gates), H, H)
    close(blocks @ blocks.swapaxes(1, 2), np.broadcast_to(np.eye(H), blocks.shape), 1e-5)
    assert len(np.unique(blocks, axis=0)) == len(blocks)
    for bias in (cell.bias_ih, cell.bias_hh):
        assert not np.any(bias)


@every_cell
def test_flax_scheme_has_lecun_normal_input_weights(cell):
    weight = np.asarray(cell(I, H, init="flax", rngs=nnx.Rngs(0)).weight_ih)
    bound = 2 / 0.87962566103423978  # Flax cuts at two deviations, then widens to unit variance
    law = stats.truncnorm(-2, 2, scale=bound / 2)
    assert stats.kstest(weight.ravel() * sqrt(I), law.cdf).pvalue > 1e-3


def test_flax_scheme_of_linear_and_embedding():
    linear = arrays(Linear(I, H, init="flax", rngs=nnx.Rngs(0)))
    assert not linear["bias"].any()
    assert linear["weight"].std() == pytest.approx(1 / sqrt(I), rel=0.05)
    (embedding,) = arrays(Embedding(10 * V, I, init="flax", rngs=nnx.Rngs(0))).values()
    law = stats.norm(scale=1 / sqrt(I))
    assert stats.kstest(embedding.ravel(), law.cdf).pvalue > 1e-3


def forget_bias_one(key, gates, hidden_size, fan_in, dtype):
    return jnp.zeros((gates, hidden_size), dtype).at[1].set(1).reshape(-1)


def test_a_scheme_of_ones_own():
    scheme = replace(FLAX, name="forget", bias=forget_bias_one)
    ours, flax = (arrays(LSTM(I, H, init=init, rngs=nnx.Rngs(0))) for init in (scheme, "flax"))
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


@pytest.mark.parametrize(
    "build",
    [
        lambda **options: GRU(I, H, **options),
        lambda **options: Linear(I, H, **options),
        lambda **options: Embedding(V, I, **options),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_unknown_scheme_is_refused(build):
    with pytest.raises(ValueError, match=r"expected one of \['flax', 'torch'\] .* got 'keras'"):
        build(init="keras", rngs=nnx.Rngs(0))


@pytest.mark.parametrize("init", ["torch", "flax"])
@pytest.mark.parametrize(
    "build",
    [
        lambda **options: LSTM(I, H, 2, **options),
        lambda **options: Linear(I, H, **options),
        lambda **options: Embedding(V, I, **options),
    ],
)
def test_a_seed_gives_its_weights_and_another_seed_others(build, init):
    first, again, other = (arrays(build(init=init, rngs=nnx.Rngs(seed))) for seed in (0, 0, 1))
    for name, value in first.items():
        np.testing.assert_array_equal(value, again[name])
        fixed = init == "flax" and "bias" in name
        assert fixed or (value != other[name]).any()


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32, jnp.float64])
def test_parameters_have_the_dtype_asked_for(dtype, x64):
    for module in (
        GRU(3, 4, dtype=dtype, rngs=nnx.Rngs(0)),
        Linear(3, 4, dtype=dtype, rngs=nnx.Rngs(0)),
        Embedding(3, 4, dtype=dtype, rngs=nnx.Rngs(0)),
    ):
        assert {value.dtype for value in arrays(module).values()} == {jnp.dtype(dtype)}


def test_parameters_follow_jaxs_default_dtype(x64):
    for module in (GRU(3, 4, rngs=nnx.Rngs(0)), Linear(3, 4, rngs=nnx.Rngs(0))):
        assert {value.dtype for value in arrays(module).values()} == {np.dtype(np.float64)}
