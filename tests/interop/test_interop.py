"""Weights to torch and back: the same names, shapes and numbers, or an error with the remedy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jax_rnn import GRU, LSTM, Embedding, Linear, load_torch_state_dict, torch_state_dict
from jax_rnn.testing import check_parity
from tests.kit import rngs

torch = pytest.importorskip("torch")

I, H, B, T, V = 3, 4, 2, 5, 7  # noqa: E741


class Model(nnx.Module):
    """A model with one module of each kind, and a list of modules."""

    def __init__(self, rngs):
        self.embedding = Embedding(V, I, rngs=rngs)
        self.rnn = LSTM(I, H, 2, rngs=rngs)
        self.heads = nnx.List([Linear(H, 6, rngs=rngs), Linear(H, V, bias=False, rngs=rngs)])
        self.scale = nnx.Param(jax.random.normal(rngs.params(), (6,)))

    def __call__(self, ids):
        outputs, _ = self.rnn(self.embedding(ids))
        return self.heads[0](outputs) * self.scale[...], self.heads[1](outputs)


class TorchModel(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.Embedding(V, I)
        self.rnn = torch.nn.LSTM(I, H, 2)
        self.heads = torch.nn.ModuleList([torch.nn.Linear(H, 6), torch.nn.Linear(H, V, bias=False)])
        self.scale = torch.nn.Parameter(torch.randn(6))

    def forward(self, ids):
        outputs, _ = self.rnn(self.embedding(ids))
        return self.heads[0](outputs) * self.scale, self.heads[1](outputs)


@pytest.fixture
def pair():
    torch.manual_seed(1)
    return Model(rngs()), TorchModel()


def numpy_of(state_dict):
    return {name: value.numpy() for name, value in state_dict.items()}


def test_names_shapes_and_values_are_torchs_there_and_back(pair):
    """Of single modules too: see test_modules."""
    ours, theirs = pair
    before, source = torch_state_dict(ours), numpy_of(theirs.state_dict())
    assert any((before[name] != value).any() for name, value in source.items())
    load_torch_state_dict(ours, source)
    jax.tree.map(np.testing.assert_array_equal, torch_state_dict(ours), source)
    tensors = {name: torch.tensor(value) for name, value in before.items()}
    theirs.load_state_dict(tensors, strict=True)
    jax.tree.map(np.testing.assert_array_equal, numpy_of(theirs.state_dict()), before)


def test_loaded_model_computes_what_torch_computes_and_learns_the_same(pair):
    """Gradients and steps of Adam too, by torch's names; indices in, two outputs."""
    ids = np.random.default_rng(0).integers(V, size=(T, B))
    rungs = check_parity(*pair, ids, steps=3)
    assert rungs[-1].passed
    assert max(rung.difference or 0 for rung in rungs) < 1e-11


def test_naming_gradients_leaves_the_model_alone(pair):
    model, _ = pair
    before = torch_state_dict(model)
    ones = jax.tree.map(jnp.ones_like, nnx.state(model))
    assert all((value == 1).all() for value in torch_state_dict(model, ones).values())
    jax.tree.map(np.testing.assert_array_equal, torch_state_dict(model), before)


def test_dtypes_stay_those_of_the_module():
    layer = GRU(I, H, dtype=jnp.bfloat16, rngs=rngs())
    source = numpy_of(torch.nn.GRU(I, H).double().state_dict())
    load_torch_state_dict(layer, source)
    assert {v.dtype for v in torch_state_dict(layer).values()} == {jnp.dtype(jnp.bfloat16)}
    np.testing.assert_allclose(
        np.float64(torch_state_dict(layer)["bias_ih_l0"]), source["bias_ih_l0"], rtol=2**-8
    )


def test_all_faults_are_listed_and_nothing_is_loaded(pair):
    ours, theirs = pair
    before = torch_state_dict(ours)
    faulty = numpy_of(theirs.state_dict())
    del faulty["rnn.weight_hh_l1"], faulty["scale"]
    faulty["rnn.weight_ih_l0_reverse"] = np.zeros((4 * H, I))
    faulty["head.weight"] = np.zeros((6, H))
    faulty["heads.0.weight"] = faulty["heads.0.weight"].T
    faulty["rnn.bias_ih_l0"] = np.zeros(3 * H)

    with pytest.raises(ValueError, match="does not fit Model") as refusal:
        load_torch_state_dict(ours, faulty)
    assert sorted(line.strip() for line in str(refusal.value).splitlines()[1:]) == [
        "missing: rnn.weight_hh_l1",
        "missing: scale",
        "unexpected: head.weight",
        "unexpected: rnn.weight_ih_l0_reverse",
        "wrong shape: heads.0.weight, expected (6, 4), got (4, 6)",
        "wrong shape: rnn.bias_ih_l0, expected (16,), got (12,)",
    ]
    jax.tree.map(np.testing.assert_array_equal, torch_state_dict(ours), before)
