"""Weights to torch and back: the same names, shapes and numbers, or an error with the remedy."""

import os
from unittest.mock import Mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

torch = pytest.importorskip("torch")

from safetensors.torch import load_file, save, save_file  # noqa: E402
from torch import nn  # noqa: E402

from jax_rnn import (  # noqa: E402
    GRU,
    LSTM,
    Embedding,
    Linear,
    from_torch,
    load_safetensors,
    load_torch_state_dict,
    save_safetensors,
    to_torch,
    torch_state_dict,
)
from jax_rnn.interop.files import save_torch  # noqa: E402
from jax_rnn.testing import check_parity  # noqa: E402
from tests.kit import refused, rngs  # noqa: E402

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
    """Of single modules too, below."""
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


torch.manual_seed(0)
MODULES = [
    nn.RNN(3, 4, nonlinearity="relu", bidirectional=True),
    nn.LSTM(3, 5, 2, proj_size=2, batch_first=True, dropout=0.3),
    nn.GRU(3, 4, 2, bias=False),
    nn.GRU(3, 4, 2, dropout=0.1).eval(),
    nn.LSTM(3, 4).bfloat16(),
    nn.RNNCell(3, 4, nonlinearity="relu"),
    nn.LSTMCell(3, 4, bias=False),
    nn.GRUCell(3, 4),
    nn.Linear(3, 4, bias=False),
    nn.Embedding(3, 4),
    nn.Sequential(nn.Embedding(3, 4), nn.Linear(4, 2)),
    nn.ModuleList([nn.GRU(2, 3), nn.LSTMCell(2, 3)]),
    nn.ModuleDict({"a": nn.LSTM(2, 3), "b": nn.ModuleList([nn.Linear(2, 2)])}),
]
everything = pytest.mark.parametrize("module", MODULES, ids=lambda m: type(m).__name__)


def same(a, b):
    assert list(a) == list(b)
    for name in a:
        assert a[name].dtype == b[name].dtype, name
        assert torch.equal(a[name], b[name]), name


@everything
def test_there_and_back_is_the_same_module(module):
    back = to_torch(from_torch(module))
    assert repr(back) == repr(module)
    assert back.training == module.training
    same(back.state_dict(), module.state_dict())


@everything
def test_a_file_goes_to_torch_and_back_unchanged(module, tmp_path):
    ours = from_torch(module)
    save_safetensors(ours, tmp_path / "ours.safetensors")
    loaded = load_file(tmp_path / "ours.safetensors")
    same({name: loaded[name] for name in module.state_dict()}, dict(module.state_dict()))

    more = {name: value + 1 for name, value in loaded.items()}
    save_file(more, tmp_path / "theirs.safetensors")
    load_safetensors(ours, tmp_path / "theirs.safetensors")
    for name, value in torch_state_dict(ours).items():
        assert (value.astype(np.float64) == more[name].double().numpy()).all(), name
    assert not list(tmp_path.glob(".*")), "a partial file was left"


def test_every_layer_of_a_container_keeps_its_mode():
    theirs = nn.ModuleList([nn.GRU(2, 3, 2, dropout=0.5), nn.GRU(2, 3, 2, dropout=0.5).eval()])
    ours = from_torch(theirs)
    assert [layer.dropout.deterministic for layer in ours] == [False, True]
    assert [layer.training for layer in to_torch(ours)] == [True, False]


class OwnLSTM(nn.LSTM):
    """A class with the name of torch's that computes something else."""


WIDE = "JAX with float64 enabled"
REFUSED = [
    (OwnLSTM(2, 3), TypeError, "got OwnLSTM"),
    (nn.Sequential(nn.Linear(2, 2), nn.Tanh()), TypeError, "got Tanh"),
    (nn.Embedding(3, 4, padding_idx=0), ValueError, "padding_idx=None, got 0"),
    (nn.Embedding(3, 4, scale_grad_by_freq=True), ValueError, "got True"),
    (nn.Embedding(3, 4, max_norm=1.0), ValueError, "max_norm=None, got 1.0"),
    (nn.LSTM(2, 3).double(), ValueError, WIDE),
    (nn.Sequential(nn.Linear(2, 3)).double(), ValueError, WIDE),
    (nn.Sequential(nn.Linear(2, 2).half(), nn.Linear(2, 2)), ValueError, "of one dtype"),
]


@pytest.mark.parametrize(("module", "error", "words"), REFUSED, ids=lambda value: str(value)[:40])
def test_what_has_no_counterpart_is_refused(module, error, words):
    refused(error, f"expected|{words}", lambda: from_torch(module))


def test_a_parameter_that_cannot_be_named_is_refused():
    class Hidden(nnx.Module):
        def __init__(self):
            self.pair = nnx.data((nnx.Param(jnp.ones(2)), nnx.Param(jnp.ones(3))))

    refused(TypeError, "expected every parameter", lambda: torch_state_dict(Hidden()))


@pytest.fixture
def lstm():
    """A module, which keeps its weights in every test."""
    module = LSTM(2, 3, rngs=rngs())
    before = torch_state_dict(module)
    yield module
    for name, value in torch_state_dict(module).items():
        assert (value == before[name]).all(), name


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights.safetensors"


DAMAGES = {
    "cut": lambda whole: whole[:-3],
    "empty": lambda whole: b"",
    "pickle": lambda whole: b"\x80\x04cos\nsystem\n.",
    "float8": lambda whole: save({"weight_ih_l0": torch.zeros(12, 2).to(torch.float8_e4m3fn)}),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file_is_refused_and_the_module_keeps_its_weights(damage, lstm, path):
    save_safetensors(LSTM(2, 3, rngs=rngs(1)), path)
    path.write_bytes(damage(path.read_bytes()))
    refused(ValueError, "expected a safetensors file", lambda: load_safetensors(lstm, path))


def test_a_file_that_does_not_fit_is_refused_with_every_fault(lstm, path):
    save_safetensors(GRU(2, 3, 2, rngs=rngs()), path)
    words = "does not fit LSTM|wrong shape: weight_ih_l0, expected (12, 2), got (9, 2)"
    words += "|unexpected: bias_hh_l1"
    refused(ValueError, words, lambda: load_safetensors(lstm, path))


def test_names_need_not_be_the_same_where_one_says_so(path):
    module, other = (LSTM(2, 3, 2, rngs=rngs()) for _ in range(2))
    first = LSTM(2, 3, rngs=rngs(1))
    lower = torch_state_dict(first)
    expected = torch_state_dict(module) | lower
    load_torch_state_dict(module, {**lower, "head.weight": np.ones(2)}, strict=False)
    save_safetensors(first, path)
    load_safetensors(other, path, strict=False)
    for found in (torch_state_dict(module), torch_state_dict(other)):
        assert found.keys() == expected.keys()
        assert all((found[name] == expected[name]).all() for name in expected)
    gru = torch_state_dict(GRU(2, 3, rngs=rngs()))
    message = refused(
        ValueError,
        "wrong shape: weight_ih_l0",
        lambda: load_torch_state_dict(module, gru, strict=False),
    )
    assert "missing" not in message


def test_what_torch_saves_of_ours_torch_loads(tmp_path):
    theirs = nn.GRU(2, 3).bfloat16()
    save_torch(from_torch(theirs), tmp_path / "weights.pt")
    same(dict(theirs.state_dict()), torch.load(tmp_path / "weights.pt", weights_only=True))
    assert os.listdir(tmp_path) == ["weights.pt"]


def test_parts_of_different_dtypes_keep_them():
    half, full = GRU(2, 3, dtype="bfloat16", rngs=rngs()), Linear(3, 2, rngs=rngs())
    theirs = to_torch(nnx.List([half, full]))
    assert [p.dtype for p in theirs.parameters()] == 4 * [torch.bfloat16] + 2 * [torch.float32]
    assert all(p.requires_grad for p in theirs.parameters())


def test_a_failed_save_leaves_the_old_file_and_nothing_else(lstm, path, monkeypatch):
    save_safetensors(lstm, path)
    old, full = path.read_bytes(), Mock(side_effect=OSError("no space left on device"))
    monkeypatch.setattr("jax_rnn.interop.files.save", full)
    refused(OSError, "no space", lambda: save_safetensors(LSTM(2, 3, rngs=rngs(1)), path))
    assert path.read_bytes() == old
    assert os.listdir(path.parent) == [path.name]
