"""What ``fit`` takes as data, carry, loss and mesh, and what it refuses, in words."""

import math
from contextlib import nullcontext
from inspect import unwrap
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

import jax_rnn
from jax_rnn import fit
from jax_rnn.base.meshes import one_axis
from jax_rnn.data import Shuffled, TextBatches
from jax_rnn.data.batches import as_batches
from jax_rnn.train import DivergedError, NonFiniteLossError, Run, Stream, load, loop
from jax_rnn.train.checks import count_steps
from jax_rnn.train.mesh import Layout
from jax_rnn.train.results import Evaluations
from jax_rnn.train.seeds import fit_seeds
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
    ({"compiler_options": "fast"}, TE, "compiler_options: expected a dict|got 'fast'"),
    ({"compiler_options": {"fast": 1}}, VE, "of XLA for cpu|No such compile option: 'fast'"),
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
    (lambda: _parts((jnp.ones(3), {}), None), VE, "floating-point scalar, got a float32 |(3,)"),
    (lambda: _parts(jnp.ones((), int), None), VE, "expected a floating-point scalar, got an int32"),
    (lambda: _parts(None, None), VE, "expected a floating-point scalar, got None"),
    (lambda: _parts((ONE, {}, 1), None), TE, "pass the initial one, fit(..., carry=...)"),
    (lambda: _parts((ONE, {}), jnp.ones(2)), TE, "return (loss, metrics, carry)"),
    (lambda: _parts((ONE, {}, jnp.ones(3)), jnp.ones(2)), VE, "carry: expected |shapes"),
    (
        lambda: read([batch(), {"x": np.ones((4, 3))}]),
        VE,
        "expected all batches of an epoch to have the shapes",
    ),
    (
        lambda: read([batch(), batch(rows=3), batch()]),
        VE,
        "expected all batches of an epoch to have the shapes",
    ),
    (lambda: read([{"x": np.float32(1)}]), VE, "batches of numbers with the batch axis first"),
    (lambda: read([{"x": np.array(["a", "b"])}]), VE, "expected batches of numbers"),
    (lambda: as_batches(Dataset(empty=True)), VE, "got no batch"),
    (
        lambda: count_steps(None, 4, SHUFFLED, 13),
        VE,
        "at least 13 batches for one step (accumulate), got 12",
    ),
    (lambda: count_steps(None, 1, ENDLESS, 1), VE, "expected data with the attribute per_epoch"),
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
        words = "expected the 3 batches that the run was trained on|DataLoader with shuffle=False"
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
                NonFiniteLossError, "no checkpoint has been saved", lambda: train(data, run=run)
            )
        assert str(tmp_path) not in said


FIRST = jnp.full((1, 2), 5.0)


class Batches:
    """Batches of ones, three in an epoch."""

    size, tokens, per_epoch = 2, 2, 3

    def __call__(self, step, rows):
        return np.ones(2, np.float32)[rows]


def loss(model, batch, carry):
    """The metrics are the carry before the batch; afterwards it is one more."""
    return model.weight[...] * batch.mean(), carry, carry + 1


def seen(data, steps=7, loss=loss, **options):
    """The carries that the batches got, less the first one."""
    options = {"carry": FIRST, "optimizer": SGD} | options
    history = fit(Weight(size=()), loss, data, steps=steps, **options)
    return (history.metrics - FIRST)[:, 0, 0].tolist()


class TestCarry:
    @pytest.mark.parametrize("listed", [False, True])
    def test_goes_on_unless_it_starts_anew(self, listed):
        options = {}
        if listed:
            options["loss"] = lambda model, batch, carry: loss(model, *batch, carry)
        data = [(np.ones(2, np.float32),)] * 3 if listed else Batches()
        assert seen(data, **options) == [*range(7)]
        assert seen(data, restart_carry=True, **options) == [0, 1, 2, 0, 1, 2, 0]

    def test_with_the_same_arrays_every_step_is_an_epoch(self):
        assert seen(np.ones(2, np.float32), steps=3, restart_carry=True) == [0, 0, 0]

    def test_starts_anew_within_a_step_of_several_batches(self):
        """The batches are 0 1, 2 0, 1 2, 0 1 of their epochs, and metrics are means over a step."""
        assert seen(Batches(), steps=4, accumulate=2, restart_carry=True) == [0.5, 1, 1.5, 0.5]

    def test_of_each_seed_starts_anew_as_that_of_fit(self):
        options = {"carry": lambda model: FIRST, "restart_carry": True}
        options |= {"seeds": [0, 1], "steps": 4, "optimizer": SGD}
        history = fit_seeds(lambda rngs: Weight(size=()), loss, lambda seed: Batches(), **options)
        assert (history.metrics - FIRST)[:, :, 0, 0].tolist() == [[0, 1, 2, 0]] * 2

    @pytest.mark.parametrize("restart", [False, True])
    def test_is_resumed_within_an_epoch(self, restart, tmp_path):
        whole = seen(Batches(), steps=7, restart_carry=restart)
        parts = []
        for steps in (2, 7):
            with Run(tmp_path, {}, resume=True) as run:
                parts += seen(Batches(), steps=steps, restart_carry=restart, run=run)
        assert parts == whole

    def test_over_a_mesh_starts_anew(self):
        mesh = jax.make_mesh((2,), ("data",), devices=jax.devices()[:2])
        assert seen(Batches(), steps=4, restart_carry=True, mesh=mesh) == [0, 1, 2, 0]

    def test_of_windows_of_a_text_is_marked_where_its_rows_begin_again(self):
        batches = TextBatches(np.arange(13), batch_size=2, window=2)
        assert batches.per_epoch == 3
        fresh = [batches(step, slice(None))["fresh"].tolist() for step in range(4)]
        assert fresh == [[True] * 2, [False] * 2, [False] * 2, [True] * 2]

    def test_that_cannot_start_anew_is_refused(self):
        words = "restart_carry: expected a carry |; pass carry="
        refused(ValueError, words, lambda: seen(Batches(), carry=None, restart_carry=True))
        endless = Batches()
        endless.per_epoch = None
        words = "restart_carry: expected data with the attribute per_epoch|; add"
        refused(ValueError, words, lambda: seen(endless, restart_carry=True))


def mesh_of_two(kind=AxisType.Explicit):
    return jax.make_mesh((2,), ("rows",), axis_types=(kind,), devices=jax.devices()[:2])


kinds = pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit])


def grid(shape, names):
    return Mesh(np.array(jax.devices()[: math.prod(shape)]).reshape(shape), names)


ONE_AXIS = "mesh: expected one axis, over which every batch"
MESHES = [
    (lambda: one_axis("data=8"), TypeError, "mesh: expected a jax.sharding.Mesh, got str; use"),
    (lambda: one_axis(grid((2, 2), ("a", "b"))), ValueError, ONE_AXIS),
    (lambda: one_axis(grid((), ())), ValueError, ONE_AXIS),
]
test_another_mesh_is_refused = refusals(MESHES)


class TestMesh:
    @kinds
    def test_of_any_name_and_type_spreads_the_batch(self, kind):
        (shard, _) = Layout(one_axis(mesh_of_two(kind))).batches(batch(), 0)["x"].addressable_shards
        assert shard.data.shape == (2, 2)

    @pytest.mark.long
    @kinds
    @pytest.mark.parametrize("entered", [False, True])
    def test_gives_the_losses_of_one_device(self, kind, entered):
        mesh = mesh_of_two(kind)
        expected = train(batch(), steps=3).loss
        with jax.set_mesh(mesh) if entered else nullcontext():
            found = train(batch(), steps=3, mesh=mesh).loss
        np.testing.assert_allclose(found, expected, rtol=1e-6)

    @kinds
    @pytest.mark.parametrize("given", [False, True])
    def test_of_the_arrays_needs_no_set_mesh(self, kind, given):
        """Without it, JAX itself does not differentiate arrays on a mesh with explicit axes."""
        mesh = mesh_of_two(kind)
        data = jax.device_put(batch(), NamedSharding(mesh, PartitionSpec("rows")))
        expected = train(batch(), steps=2).loss
        found = train(data, steps=2, mesh=mesh if given else None).loss
        np.testing.assert_allclose(found, expected, rtol=1e-6)
        if not given:
            swept = fit_seeds(Weight, squares, data, seeds=[0, 1], steps=2, optimizer=SGD).loss
            np.testing.assert_allclose(swept, [expected] * 2, rtol=1e-6)

    def test_that_is_set_is_that_of_the_model_and_of_callbacks(self):
        mesh, records = mesh_of_two(), []
        with jax.set_mesh(mesh):
            data = jax.device_put(batch(), NamedSharding(mesh, PartitionSpec("rows")))
            model = Weight()
            assert jax.typeof(model.weight[...]).sharding.mesh == mesh.abstract_mesh
            options = {"evaluate": lambda model: {"loss": squares(model, data)}, "mesh": mesh}
            options |= {"on_record": lambda record: records.append(squares(model, data))}
            history = train(data, model, steps=2, optimizer=optax.adam(0.1), **options)
            after = squares(model, data)
        assert history.evaluations[0]["loss"] == after < history.loss[1]
        assert records == [history.loss[0]]
