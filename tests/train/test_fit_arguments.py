"""What ``fit`` takes as data, carry, loss and mesh, and what it refuses, in words."""

import math
from inspect import unwrap
from types import SimpleNamespace

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

SGD = optax.sgd(0.1)


class Weight(nnx.Module):
    def __init__(self, rngs):
        self.weight = nnx.Param(jnp.ones(2))


def squares(model, batch):
    return ((batch["x"] @ model.weight[...]) ** 2).mean()


def batch(k=0, rows=4):
    return {"x": np.full((rows, 2), k + 1.0)}


class Dataset:
    """An iterable of three batches, the last one shorter; the order may change with every epoch."""

    def __init__(self, shuffled=False):
        self.read, self.shuffled = 0, shuffled

    def __iter__(self):
        self.read += 1
        extra = self.read if self.shuffled else 0
        yield from (batch(k + extra) for k in range(2))
        yield batch(9, rows=3)


def train(data, model=None, **options):
    options = {"steps": 1, "optimizer": SGD} | options
    return fit(Weight(nnx.Rngs(0)) if model is None else model, squares, data, **options)


GENERATOR = (batch(k) for k in range(3))
WRONG = {
    "function as model": ({"model": squares}, TypeError, "model: expected an nnx.Module, got func"),
    "class as model": ({"model": Weight}, TypeError, r"got the class Weight; make an instance"),
    "no parameters": ({"model": nnx.Dropout(0.5)}, ValueError, "expected parameters to train"),
    "optax function": ({"optimizer": optax.adam}, TypeError, r"got adam; call it .* adam\(1e-3\)"),
    "number as optimizer": ({"optimizer": 0.1}, TypeError, "GradientTransformation, got float"),
    "generator": ({"data": GENERATOR}, TypeError, "generator, which can be read once; pass a list"),
    "no data": ({"data": {}}, ValueError, "data: expected arrays"),
    "function as data": ({"data": len}, TypeError, "an iterable of batches, got builtin_function"),
    "two lengths": ({"steps": 1, "epochs": 1}, TypeError, "expected steps or epochs, got both"),
    "no length": ({"steps": None}, TypeError, "expected steps or epochs, got neither"),
    "no epochs": ({"steps": None, "epochs": 0}, ValueError, "epochs: expected at least 1, got 0"),
    "patience alone": ({"patience": 2}, ValueError, "patience: expected evaluate="),
    "mode": ({"mode": "most"}, ValueError, "mode: expected min or max, got 'most'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_misuse_is_refused_with_the_fix(name, monkeypatch):
    options, kind, message = WRONG[name]
    monkeypatch.setattr(loop, "prepare", None)  # nothing is compiled
    arguments = {"model": Weight(nnx.Rngs(0)), "steps": 1, "optimizer": SGD, "data": batch()}
    with pytest.raises(kind, match=message):
        unwrap(fit)(loss=squares, **arguments | options)  # without the type checks of the tests


RESULTS = [
    (
        None,
        (jnp.ones(3), {}),
        ValueError,
        r"floating scalar, got a float32 .*\(3,\)",
    ),
    (None, jnp.ones((), int), ValueError, "expected a floating scalar, got an int32"),
    (None, None, ValueError, "expected a floating scalar, got None"),
    (None, (jnp.ones(()), {}, 1), TypeError, r"needs the first one, as fit\(..., carry=...\)"),
    (jnp.ones(2), (jnp.ones(()), {}), TypeError, r"expected \(loss, metrics, carry\)"),
    (jnp.ones(2), (jnp.ones(()), {}, jnp.ones(3)), ValueError, "carry: expected .*shapes"),
]


@pytest.mark.parametrize(("carry", "result", "kind", "message"), RESULTS)
def test_a_loss_that_returns_something_else_is_refused(carry, result, kind, message):
    with pytest.raises(kind, match=message):
        _parts(result, carry)


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
    class Model(nnx.Module):
        def __init__(self, rngs):
            self.rnn = getattr(jax_rnn, layer)(2, 3, batch_first=True, rngs=rngs)

    def loss(model, batch, carry):
        y, carry = model.rnn(batch["x"], carry)
        return (y**2).mean(), {}, carry

    zeros = jnp.zeros((1, 4, 3))
    for carry in [(zeros, zeros)] if layer == "LSTM" else [zeros]:
        model = Model(nnx.Rngs(0))
        history = fit(model, loss, {"x": jnp.ones((4, 5, 2))}, steps=2, optimizer=SGD, carry=carry)
        assert np.isfinite(history.loss).all()


class TestData:
    def test_an_iterable_is_read_epoch_after_epoch(self):
        stream = Stream(Dataset())
        assert stream.size == 4 and stream.tokens == 8 and stream.per_epoch == 2
        read = [float(stream(k, slice(0, 4))["x"][0, 0]) for k in (0, 1, 2, 3, 1, 4)]
        assert read == [1, 2, 1, 2, 2, 1]
        assert stream(5, slice(1, 3))["x"].shape == (2, 2)

    @pytest.mark.parametrize(
        ("batches", "message"),
        [
            ([batch(), {"x": np.ones((4, 3))}], "expected batches of one shape"),
            ([batch(), batch(rows=3), batch()], "expected batches of one shape"),
            ([{"x": np.float32(1)}], "expected batches of numbers with the batch axis first"),
            ([{"x": np.array(["a", "b"])}], "expected batches of numbers"),
        ],
    )
    def test_batches_of_other_shapes_are_refused(self, batches, message):
        with pytest.raises(ValueError, match=message):
            stream = Stream(batches)
            [stream(k, slice(0, 4)) for k in range(3)]

    def test_none_in_an_epoch_is_refused(self):
        class Empty:
            def __iter__(self):
                return iter(())

        with pytest.raises(ValueError, match="got none in an epoch"):
            as_batches(Empty())

    def test_kinds_of_data_are_distinguished(self):
        assert isinstance(as_batches([batch(), batch()]), Stream)
        assert isinstance(as_batches(Dataset()), Stream)
        shuffled = Shuffled({"x": np.ones((5, 2))}, 2, 0)
        assert as_batches(shuffled) is shuffled
        for arrays in (batch(), jnp.ones(3), (np.ones(2), np.ones(2)), [np.ones(2)]):
            assert getattr(as_batches(arrays), "per_epoch", None) == 1

    def test_epochs_are_steps(self):
        shuffled = Shuffled({"x": np.ones((7, 2))}, 2, 0)
        assert count_steps(None, 4, shuffled, 1) == 12
        assert count_steps(None, 4, shuffled, 5) == 2
        with pytest.raises(ValueError, match="at least 13 batches for one step, got 12"):
            count_steps(None, 4, shuffled, 13)
        with pytest.raises(ValueError, match="expected data with per_epoch"):
            count_steps(None, 1, SimpleNamespace(size=1, tokens=1), 1)  # type: ignore[arg-type]

    def test_of_a_data_loader_of_torch_trains(self):
        torch = pytest.importorskip("torch")
        rows = torch.utils.data.TensorDataset(torch.ones(10, 2, dtype=torch.float64))
        with pytest.raises(TypeError, match=r"wrap it in torch\.utils\.data\.DataLoader"):
            as_batches(rows)
        loader = torch.utils.data.DataLoader(rows, batch_size=4)

        def loss(model, batch):
            (x,) = batch
            assert x.dtype == jnp.float32  # float64 becomes JAX's default float
            return squares(model, {"x": x})

        history = fit(Weight(nnx.Rngs(0)), loss, loader, epochs=2, optimizer=SGD)
        assert history.loss.shape == (4,)

    def test_of_bfloat16_of_torch_keeps_its_dtype(self):
        torch = pytest.importorskip("torch")
        tensor = torch.tensor([[0.5], [1.5]], dtype=torch.bfloat16)
        for data in ({"x": tensor}, [{"x": tensor}]):
            batch = as_batches(data)(0, slice(None))["x"]
            assert (batch.dtype, batch.tolist()) == (jnp.bfloat16, [[0.5], [1.5]])


class TestResuming:
    def go(self, folder, data, steps, resume=True):
        model = Weight(nnx.Rngs(0))
        with Run(folder, {}, resume=resume) as run:
            history = train(data, model, steps=steps, run=run, checkpoint_every=1)
        return model, history

    def test_an_iterable_is_skipped_ahead(self, tmp_path):
        whole, _ = self.go(tmp_path / "whole", Dataset(), 5, resume=False)
        self.go(tmp_path / "run", Dataset(), 3, resume=False)
        model, history = self.go(tmp_path / "run", Dataset(), 5)
        assert history.loss.shape == (2,)
        assert (model.weight[...] == whole.weight[...]).all()

    @pytest.mark.long
    def test_an_iterable_that_gives_other_batches_is_refused(self, tmp_path):
        self.go(tmp_path, Dataset(), 3, resume=False)
        other = Dataset()
        other.shuffled, other.read = True, 5
        with pytest.raises(ValueError, match=r"expected the same 3 batches .*A DataLoader does"):
            self.go(tmp_path, other, 5)

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
        model = Weight(nnx.Rngs(0))
        described = {"model": {"class": "x:Weight", "options": {}}}
        with Run(tmp_path, described) as run:
            history = train(
                batch(),
                model,
                steps=9,
                run=run,
                evaluate=lambda model: {"accuracy": next(scores)},
                evaluate_every=1,
                patience=2,
                monitor="accuracy",
                mode="max",
            )
        assert [row["accuracy"] for row in history.evaluations] == [0.1, 0.5, 0.3, 0.2]
        assert run.checkpoints.best() == 2
        best, last = load(tmp_path, model=Weight), load(tmp_path, "last", model=Weight)
        assert (best.weight[...] != last.weight[...]).all()

    def test_without_the_monitored_figure_is_refused(self):
        evaluations = Evaluations(3)
        with pytest.raises(
            ValueError, match=r"expected figures with 'loss'.*got accuracy; monitor="
        ):
            evaluations.add(1, {"accuracy": 1.0})
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
        with Run(tmp_path, {}) as run, pytest.raises(NonFiniteLossError) as caught:
            train({"x": np.full((4, 2), math.nan)}, run=run)
        assert "no checkpoint was saved before" in str(caught.value)
        assert str(tmp_path) not in str(caught.value)
