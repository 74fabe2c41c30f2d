"""What ``fit`` takes as data, carry, loss and mesh, and what it refuses, in words."""

import math
from inspect import unwrap
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import jax_rnn
from jax_rnn import fit
from jax_rnn.data import Shuffled
from jax_rnn.data.batches import as_batches
from jax_rnn.train import DivergedError, NonFiniteLossError, Run, Stream, load, loop
from jax_rnn.train.checks import count_steps
from jax_rnn.train.results import Evaluations
from jax_rnn.train.step import _parts
from tests.kit import refusals, refused
from tests.train.kit import SGD, Weight, batch, squares, train


class Dataset:
    """An iterable of three batches, the last one shorter; the order may change with every epoch."""

    def __init__(self, shuffled=False, empty=False):
        self.read, self.shuffled, self.empty = 0, shuffled, empty

    def __iter__(self):
        self.read += 1
        extra = self.read if self.shuffled else 0
        if not self.empty:
            yield from (batch(k + extra) for k in range(2))
            yield batch(9, rows=3)


def read(batches):
    stream = Stream(batches)
    return [stream(k, slice(0, 4)) for k in range(3)]


GENERATOR = (batch(k) for k in range(3))
TE, VE = TypeError, ValueError
WRONG = [
    ({"model": squares}, TE, "model: expected an nnx.Module, got func"),
    ({"model": Weight}, TE, "got the class Weight; make an instance"),
    ({"model": nnx.Dropout(0.5)}, VE, "expected parameters to train"),
    ({"optimizer": optax.adam}, TE, "got adam; call it |adam(1e-3)"),
    ({"optimizer": 0.1}, TE, "GradientTransformation, got float"),
    ({"data": GENERATOR}, TE, "data|generator, which can be read once; pass a list"),
    ({"data": {}}, VE, "data: expected arrays"),
    ({"data": len}, TE, "data|an iterable of batches, got builtin_function"),
    ({"steps": 1, "epochs": 1}, TE, "expected steps or epochs, got both"),
    ({"steps": None}, TE, "expected steps or epochs, got neither"),
    ({"steps": None, "epochs": 0}, VE, "epochs: expected at least 1, got 0"),
    ({"patience": 2}, VE, "patience: expected evaluate="),
    ({"mode": "most"}, VE, "mode: expected min or max, got 'most'"),
]


@pytest.mark.parametrize(("options", "error", "words"), WRONG, ids=[words for *_, words in WRONG])
def test_misuse_is_refused_with_the_fix(options, error, words, monkeypatch):
    monkeypatch.setattr(loop, "prepare", None)  # nothing is compiled
    given = {"model": Weight(), "steps": 1, "optimizer": SGD, "data": batch()} | options
    refused(error, words, lambda: unwrap(fit)(loss=squares, **given))  # types are not checked


ONE = jnp.ones(())
SHUFFLED = Shuffled({"x": np.ones((7, 2))}, 2, 0)
ENDLESS: Any = SimpleNamespace(size=1, tokens=1)
ROWS = [  # (call, error, words)
    (lambda: _parts((jnp.ones(3), {}), None), VE, "floating scalar, got a float32 |(3,)"),
    (lambda: _parts(jnp.ones((), int), None), VE, "expected a floating scalar, got an int32"),
    (lambda: _parts(None, None), VE, "expected a floating scalar, got None"),
    (lambda: _parts((ONE, {}, 1), None), TE, "needs the first one, as fit(..., carry=...)"),
    (lambda: _parts((ONE, {}), jnp.ones(2)), TE, "expected (loss, metrics, carry)"),
    (lambda: _parts((ONE, {}, jnp.ones(3)), jnp.ones(2)), VE, "carry: expected |shapes"),
    (lambda: read([batch(), {"x": np.ones((4, 3))}]), VE, "expected batches of one shape"),
    (lambda: read([batch(), batch(rows=3), batch()]), VE, "expected batches of one shape"),
    (lambda: read([{"x": np.float32(1)}]), VE, "batches of numbers with the batch axis first"),
    (lambda: read([{"x": np.array(["a", "b"])}]), VE, "expected batches of numbers"),
    (lambda: as_batches(Dataset(empty=True)), VE, "got none in an epoch"),
    (lambda: count_steps(None, 4, SHUFFLED, 13), VE, "at least 13 batches for one step, got 12"),
    (lambda: count_steps(None, 1, ENDLESS, 1), VE, "expected data with per_epoch"),
    (
        lambda: Evaluations(3).add(1, {"accuracy": 1.0}),
        VE,
        "expected figures with 'loss'|got accuracy; monitor=",
    ),
]


test_other_results_data_and_figures_are_refused = refusals(ROWS)


def test_a_loss_may_return_the_loss_alone():
    value, metrics, carry = _parts(jnp.ones(()), None)
    assert (float(value), metrics, carry) == (1.0, {}, None)
    assert train(batch()).metrics == {}


@pytest.mark.parametrize(
    "carry", [jnp.zeros((1, 4, 3)), (jnp.zeros((1, 4, 3)),), [jnp.zeros((1, 4, 3))]]
)
def test_a_carry_keeps_its_structure_and_dtype(carry):
    state = jax_rnn.HiddenCarry(jnp.ones((1, 4, 3), jnp.bfloat16))
    _, _, new = _parts((jnp.ones(()), {}, state), carry)
    assert jax.tree.structure(new) == jax.tree.structure(carry)
    assert jax.tree.leaves(new)[0].dtype == jnp.float32


@pytest.mark.long
@pytest.mark.parametrize("layer", ["RNN", "GRU", "LSTM"])
def test_a_plain_tuple_or_array_as_carry_trains(layer):
    model = getattr(jax_rnn, layer)(2, 3, batch_first=True, rngs=nnx.Rngs(0))

    def loss(model, batch, carry):
        y, carry = model(batch["x"], carry)
        return (y**2).mean(), {}, carry

    zeros = jnp.zeros((1, 4, 3))
    carry = (zeros, zeros) if layer == "LSTM" else zeros
    data = {"x": jnp.ones((4, 5, 2))}
    assert np.isfinite(fit(model, loss, data, steps=2, optimizer=SGD, carry=carry).loss).all()


class TestData:
    def test_an_iterable_is_read_epoch_after_epoch(self):
        stream = Stream(Dataset())
        assert stream.size == 4 and stream.tokens == 8 and stream.per_epoch == 2
        read = [float(stream(k, slice(0, 4))["x"][0, 0]) for k in (0, 1, 2, 3, 1, 4)]
        assert read == [1, 2, 1, 2, 2, 1]
        assert stream(5, slice(1, 3))["x"].shape == (2, 2)

    def test_kinds_of_data_are_distinguished(self):
        assert isinstance(as_batches([batch(), batch()]), Stream)
        assert isinstance(as_batches(Dataset()), Stream)
        assert as_batches(SHUFFLED) is SHUFFLED
        for arrays in (batch(), jnp.ones(3), (np.ones(2), np.ones(2)), [np.ones(2)]):
            assert getattr(as_batches(arrays), "per_epoch", None) == 1

    def test_epochs_are_steps(self):
        assert count_steps(None, 4, SHUFFLED, 1) == 12 and count_steps(None, 4, SHUFFLED, 5) == 2

    def test_of_a_data_loader_of_torch_trains(self):
        torch = pytest.importorskip("torch")
        rows = torch.utils.data.TensorDataset(torch.ones(10, 2, dtype=torch.float64))
        refused(TE, "wrap it in torch.utils.data.DataLoader", lambda: as_batches(rows))

        def loss(model, batch):
            (x,) = batch
            assert x.dtype == jnp.float32  # float64 becomes JAX's default float
            return squares(model, {"x": x})

        loader = torch.utils.data.DataLoader(rows, batch_size=4)
        assert fit(Weight(), loss, loader, epochs=2, optimizer=SGD).loss.shape == (4,)

    def test_of_bfloat16_of_torch_keeps_its_dtype(self):
        torch = pytest.importorskip("torch")
        tensor = torch.tensor([[0.5], [1.5]], dtype=torch.bfloat16)
        for data in ({"x": tensor}, [{"x": tensor}]):
            batch = as_batches(data)(0, slice(None))["x"]
            assert (batch.dtype, batch.tolist()) == (jnp.bfloat16, [[0.5], [1.5]])


class TestResuming:
    def go(self, folder, data, steps, resume=True):
        model = Weight()
        with Run(folder, {}, resume=resume) as run:
            return model, train(data, model, steps=steps, run=run, checkpoint_every=1)

    def test_an_iterable_is_skipped_ahead(self, tmp_path):
        whole, _ = self.go(tmp_path / "whole", Dataset(), 5, resume=False)
        self.go(tmp_path / "run", Dataset(), 3, resume=False)
        model, history = self.go(tmp_path / "run", Dataset(), 5)
        assert history.loss.shape == (2,)
        assert (model.weight[...] == whole.weight[...]).all()

    @pytest.mark.long
    def test_an_iterable_that_gives_other_batches_is_refused(self, tmp_path):
        self.go(tmp_path, Dataset(), 3, resume=False)
        other = Dataset(shuffled=True)
        other.read = 5
        words = "expected the same 3 batches |A DataLoader does"
        refused(VE, words, lambda: self.go(tmp_path, other, 5))

    @pytest.mark.long
    def test_seconds_go_on(self, tmp_path, monkeypatch):
        clock = iter(range(0, 10_000, 10))
        monkeypatch.setattr(loop, "perf_counter", lambda: next(clock))
        self.go(tmp_path, batch(), 2, resume=False)
        self.go(tmp_path, batch(), 4)
        with Run(tmp_path, {}, resume=True) as run:
            step, notes = run.resume_at()
            assert step == 4 and notes["seconds"] == 40


class TestEvaluation:
    def test_goes_by_another_figure_and_direction(self, tmp_path):
        scores = iter([0.1, 0.5, 0.3, 0.2, 0.9])
        options = {"evaluate": lambda model: {"accuracy": next(scores)}, "evaluate_every": 1}
        options |= {"patience": 2, "monitor": "accuracy", "mode": "max"}
        described = {"model": {"class": "x:Weight", "options": {}}}
        with Run(tmp_path, described) as run:
            history = train(batch(), steps=9, run=run, **options)
        assert [row["accuracy"] for row in history.evaluations] == [0.1, 0.5, 0.3, 0.2]
        assert run.checkpoints.best() == 2
        best, last = load(tmp_path, model=Weight), load(tmp_path, "last", model=Weight)
        assert (best.weight[...] != last.weight[...]).all()

    def test_without_patience_needs_no_monitored_figure(self):
        Evaluations(None).add(1, {"accuracy": 1.0})

    @pytest.mark.parametrize("error", [OverflowError, KeyError])
    def test_that_fails_loses_nothing(self, error, tmp_path):
        def evaluate(model):
            raise error("math range error")

        kind = DivergedError if error is OverflowError else error
        with Run(tmp_path, {}) as run, pytest.raises(kind, match="math range error"):
            train(batch(), run=run, evaluate=evaluate)
        assert run.checkpoints.latest() == 1

    def test_a_loss_that_is_not_finite_names_no_checkpoint_that_is_not_there(self, tmp_path):
        data = {"x": np.full((4, 2), math.nan)}
        with Run(tmp_path, {}) as run:
            said = refused(
                NonFiniteLossError, "no checkpoint was saved before", lambda: train(data, run=run)
            )
        assert str(tmp_path) not in said
