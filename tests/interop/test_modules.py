"""Whole modules and files to and from torch."""

import os

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import jax.numpy as jnp  # noqa: E402
from flax import nnx  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402
from torch import nn  # noqa: E402

from jax_rnn import (  # noqa: E402
    GRU,
    LSTM,
    Linear,
    from_torch,
    load_safetensors,
    load_torch_state_dict,
    save_safetensors,
    to_torch,
    torch_state_dict,
)
from jax_rnn.interop.files import save_torch  # noqa: E402

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


def test_converted_layers_compute_what_torch_computes():
    theirs = nn.LSTM(3, 5, 2, proj_size=2, batch_first=True, bidirectional=True)
    x = np.random.default_rng(0).standard_normal((2, 4, 3)).astype(np.float32)
    output, (h, c) = from_torch(theirs)(jnp.asarray(x))
    expected, (h_n, c_n) = theirs(torch.tensor(x))
    for a, b in ((output, expected), (h, h_n), (c, c_n)):
        np.testing.assert_allclose(a, b.detach().numpy(), atol=1e-6)  # float32 rounding, 4 steps


def test_every_layer_of_a_container_keeps_its_mode():
    theirs = nn.ModuleList([nn.GRU(2, 3, 2, dropout=0.5), nn.GRU(2, 3, 2, dropout=0.5).eval()])
    ours = from_torch(theirs)
    assert [layer.dropout.deterministic for layer in ours] == [False, True]
    assert [layer.training for layer in to_torch(ours)] == [True, False]


def test_converted_embeddings_and_linears_compute_what_torch_computes():
    theirs = nn.Sequential(nn.Embedding(6, 4), nn.Linear(4, 2))
    ids = np.array([[0, 5], [2, 2], [1, 4]])
    np.testing.assert_allclose(
        from_torch(theirs)(jnp.asarray(ids)), theirs(torch.tensor(ids)).detach(), atol=1e-6
    )


class OwnLSTM(nn.LSTM):
    """A class with the name of torch's that computes something else."""


@pytest.mark.parametrize(
    ("module", "error", "words"),
    [
        (nn.Conv1d(1, 1, 1), TypeError, "got Conv1d"),
        (OwnLSTM(2, 3), TypeError, "got OwnLSTM"),
        (nn.Sequential(nn.Linear(2, 2), nn.Tanh()), TypeError, "got Tanh"),
        (nn.Embedding(3, 4, padding_idx=0), ValueError, "padding_idx=None, got 0"),
        (nn.Embedding(3, 4, scale_grad_by_freq=True), ValueError, "got True"),
        (nn.Embedding(3, 4, max_norm=1.0), ValueError, "max_norm=None, got 1.0"),
        (nn.LSTM(2, 3).double(), ValueError, "JAX with float64 enabled"),
        (nn.Sequential(nn.Linear(2, 3)).double(), ValueError, "JAX with float64 enabled"),
        (nn.Sequential(nn.Linear(2, 2).half(), nn.Linear(2, 2)), ValueError, "of one dtype"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else None,
)
def test_what_has_no_counterpart_is_refused(module, error, words):
    with pytest.raises(error, match="expected") as caught:
        from_torch(module)
    assert words in str(caught.value)


def test_what_torch_does_not_have_is_refused():
    with pytest.raises(TypeError, match=r"expected one of .*reset_after=True.*got jax_rnn\.GRU"):
        to_torch(GRU(2, 3, reset_after=False, rngs=nnx.Rngs(0)))


def test_a_parameter_that_cannot_be_named_is_refused():
    class Hidden(nnx.Module):
        def __init__(self):
            self.pair = nnx.data((nnx.Param(jnp.ones(2)), nnx.Param(jnp.ones(3))))

    with pytest.raises(TypeError, match="expected every parameter"):
        torch_state_dict(Hidden())


def damaged(path, kind):
    whole = path.read_bytes()
    path.write_bytes({"cut": whole[:-3], "empty": b"", "pickle": b"\x80\x04cos\nsystem\n."}[kind])


@pytest.mark.parametrize("kind", ["cut", "empty", "pickle"])
def test_a_damaged_file_is_refused_and_the_module_keeps_its_weights(kind, tmp_path):
    module, path = LSTM(2, 3, rngs=nnx.Rngs(0)), tmp_path / "weights.safetensors"
    save_safetensors(LSTM(2, 3, rngs=nnx.Rngs(1)), path)
    before = torch_state_dict(module)
    damaged(path, kind)
    with pytest.raises(ValueError, match="expected a safetensors file"):
        load_safetensors(module, path)
    for name, value in torch_state_dict(module).items():
        assert (value == before[name]).all()


def test_a_dtype_that_numpy_does_not_have_is_refused(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file({"weight_ih_l0": torch.zeros(12, 2).to(torch.float8_e4m3fn)}, path)
    with pytest.raises(ValueError, match="expected a safetensors file"):
        load_safetensors(LSTM(2, 3, rngs=nnx.Rngs(0)), path)


def test_a_file_for_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"expected the folder .*none to exist; create it"):
        save_safetensors(LSTM(2, 3, rngs=nnx.Rngs(0)), tmp_path / "none" / "weights.safetensors")


def test_names_need_not_be_the_same_where_one_says_so(tmp_path):
    module, path = LSTM(2, 3, 2, rngs=nnx.Rngs(0)), tmp_path / "weights.safetensors"
    before, first = torch_state_dict(module), LSTM(2, 3, rngs=nnx.Rngs(1))
    lower = torch_state_dict(first)
    load_torch_state_dict(module, {**lower, "head.weight": np.ones(2)}, strict=False)
    for name, value in torch_state_dict(module).items():
        assert (value == lower.get(name, before[name])).all(), name

    other = LSTM(2, 3, 2, rngs=nnx.Rngs(0))
    save_safetensors(first, path)
    load_safetensors(other, path, strict=False)
    for name, value in torch_state_dict(other).items():
        assert (value == torch_state_dict(module)[name]).all(), name
    with pytest.raises(ValueError, match=r"wrong shape: weight_ih_l0") as caught:
        load_torch_state_dict(module, torch_state_dict(GRU(2, 3, rngs=nnx.Rngs(0))), strict=False)
    assert "missing" not in str(caught.value)


def test_a_file_that_does_not_fit_is_refused_with_every_fault(tmp_path):
    module, path = LSTM(2, 3, rngs=nnx.Rngs(0)), tmp_path / "weights.safetensors"
    save_safetensors(GRU(2, 3, 2, rngs=nnx.Rngs(0)), path)
    before = torch_state_dict(module)
    with pytest.raises(ValueError, match="does not fit LSTM") as caught:
        load_safetensors(module, path)
    assert "wrong shape: weight_ih_l0, expected (12, 2), got (9, 2)" in str(caught.value)
    assert "unexpected: bias_hh_l1" in str(caught.value)
    for name, value in torch_state_dict(module).items():
        assert (value == before[name]).all()


def test_values_that_are_no_floats_are_refused():
    module = LSTM(2, 3, bias=False, rngs=nnx.Rngs(0))
    whole = {name: value.astype(int) for name, value in torch_state_dict(module).items()}
    with pytest.raises(ValueError, match="not floating: weight_hh_l0, got int64"):
        load_torch_state_dict(module, whole)


def test_what_torch_saves_of_ours_torch_loads(tmp_path):
    theirs = nn.GRU(2, 3).bfloat16()
    save_torch(from_torch(theirs), tmp_path / "weights.pt")
    same(dict(theirs.state_dict()), torch.load(tmp_path / "weights.pt", weights_only=True))


def test_parts_of_different_dtypes_keep_them():
    half, full = GRU(2, 3, dtype="bfloat16", rngs=nnx.Rngs(0)), Linear(3, 2, rngs=nnx.Rngs(0))
    theirs = to_torch(nnx.List([half, full]))
    assert [p.dtype for p in theirs.parameters()] == 4 * [torch.bfloat16] + 2 * [torch.float32]
    assert all(p.requires_grad for p in theirs.parameters())


def test_a_failed_save_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "weights.safetensors"
    save_safetensors(LSTM(2, 3, rngs=nnx.Rngs(0)), path)
    old = path.read_bytes()

    def fail(*arguments, **options):
        raise OSError("no space left on device")

    monkeypatch.setattr("jax_rnn.interop.files.save", fail)
    with pytest.raises(OSError, match="no space"):
        save_safetensors(LSTM(2, 3, rngs=nnx.Rngs(1)), path)
    assert path.read_bytes() == old
    assert os.listdir(tmp_path) == [path.name]
