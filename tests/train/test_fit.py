"""Training: the compiled loop against one written by hand, many seeds, and failures."""

import io
import time
from contextlib import nullcontext
from functools import cache
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from rich.console import Console

from jax_rnn import GRU, Linear, NonFiniteLossError, fit
from jax_rnn.base import progress
from jax_rnn.base.progress import progress_bar
from jax_rnn.data import Shuffled
from jax_rnn.train import loop, program
from jax_rnn.train.seeds import fit_seeds
from tests.kit import cases

I, H, B, T, STEPS = 3, 4, 8, 5, 6  # noqa: E741


class Network(nnx.Module):
    def __init__(self, rngs):
        self.rnn = GRU(I, H, rngs=rngs)
        self.linear = Linear(H, 2, rngs=rngs)

    def __call__(self, x):
        return self.linear(self.rnn(x)[0])


def squares(model, batch):
    """Mean squared error; the metrics are the last outputs and how far off they are on average."""
    outputs = model(batch["x"])
    error = outputs - batch["y"]
    return (error**2).mean(), {"outputs": outputs[-1], "bias": error.mean()}


pytestmark = pytest.mark.usefixtures("x64")


@pytest.fixture
def batch():
    return data()


def data():
    rng = np.random.default_rng(0)
    return {"x": jnp.asarray(rng.normal(size=(T, B, I))), "y": jnp.asarray(rng.normal(size=(2,)))}


def network(seed=0):
    return Network(nnx.Rngs(seed))


def line(seed=0):
    """The smallest model, for tests that need any model."""
    return Linear(I, 2, rngs=nnx.Rngs(seed))


def parameters(model):
    state: Any = nnx.state(model, nnx.Param)
    return jax.tree.map(np.asarray, nnx.to_pure_dict(state))


OPTIMIZERS = {"adam": optax.adam(0.1), "sgd": optax.sgd(0.3, momentum=0.9)}
ADAM = OPTIMIZERS["adam"]


@cache
def by_hand(build=network, optimizer="adam"):
    """Losses, metrics and final parameters of a plain loop."""
    optimizer, batch = OPTIMIZERS[optimizer], data()
    graphdef, params = nnx.split(build())
    state, losses, metrics = optimizer.init(params), [], []

    @jax.jit
    def gradient(params):
        return jax.value_and_grad(
            lambda params: squares(nnx.merge(graphdef, params), batch), has_aux=True
        )(params)

    for _ in range(STEPS):
        (loss, metric), grads = gradient(params)
        updates, state = optimizer.update(grads, state, params)
        params = optax.apply_updates(params, updates)
        losses.append(loss)
        metrics.append(metric)
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *metrics)
    return np.array(losses), stacked, nnx.to_pure_dict(cast(Any, params))


@cache
def alone(build, seed):
    """Loss and metrics of ``fit`` from one seed."""
    return fit(build(seed), squares, data(), steps=STEPS, optimizer=ADAM)[:2]


class TestFit:
    @cases("optimizer", OPTIMIZERS, short=1)
    def test_is_the_loop_written_by_hand(self, optimizer, batch, close):
        model = network()
        history = fit(model, squares, batch, steps=STEPS, optimizer=OPTIMIZERS[optimizer])
        expected = by_hand(network, optimizer)
        close((history.loss, history.metrics, parameters(model)), expected)

    @pytest.mark.parametrize("steps_per_call", [1, 4, 100])
    def test_calls_of_any_length_give_the_same(self, steps_per_call, batch, close):
        model = line()
        history = fit(
            model, squares, batch, steps=STEPS, optimizer=ADAM, steps_per_call=steps_per_call
        )
        close((history.loss, history.metrics, parameters(model)), by_hand(line))

    def test_reports_the_parameters_before_each_step(self, batch, close):
        model = line()
        before, metrics = squares(model, batch)
        history = fit(model, squares, batch, steps=1, optimizer=ADAM)
        close((history.loss[0], history.metrics["outputs"][0]), (before, metrics["outputs"]))
        after, _ = squares(model, batch)
        again = fit(model, squares, batch, steps=1, optimizer=ADAM)
        close(again.loss[0], after)
        assert after < before

    def test_history_is_numpy_with_one_entry_a_step(self, batch):
        history = fit(line(), squares, batch, steps=STEPS, optimizer=ADAM)
        shapes = {"outputs": (STEPS, B, 2), "bias": (STEPS,)}
        assert history.loss.shape == (STEPS,)
        assert {name: leaf.shape for name, leaf in history.metrics.items()} == shapes
        assert all(type(leaf) is np.ndarray for leaf in jax.tree.leaves(history[:2]))

    def test_lowers_the_loss(self, batch):
        history = fit(network(), squares, batch, steps=60, optimizer=ADAM)
        assert history.loss[-1] < 0.01 * history.loss[0]

    def test_updates_the_parameters_that_the_model_has(self, batch):
        model = network()
        held, before = model.linear.kernel, parameters(model)
        fit(model, squares, batch, steps=1, optimizer=ADAM)
        assert model.linear.kernel is held
        changed = jax.tree.map(lambda a, b: bool((a != b).all()), parameters(model), before)
        assert all(jax.tree.leaves(changed))

    def test_trains_what_is_a_parameter_and_nothing_else(self):
        class Counter(nnx.Module):
            def __init__(self):
                self.weight = nnx.Param(jnp.ones(()))
                self.constant = nnx.Variable(jnp.ones(()))

        counter = Counter()

        def loss(model, batch):
            return model.weight[...] * model.constant[...] * batch, {}

        fit(counter, loss, jnp.ones(()), steps=3, optimizer=optax.sgd(0.25))
        assert (float(counter.weight[...]), float(counter.constant[...])) == (0.25, 1.0)

    def test_traces_once_for_each_number_of_steps(self, batch):
        traces = []

        def counted(model, batch):
            traces.append(None)
            return squares(model, batch)

        fit(line(), counted, batch, steps=7, optimizer=ADAM, steps_per_call=2)
        assert len(traces) == 2

    def test_another_model_of_the_same_kind_needs_no_new_program(self, batch, close):
        traces = []

        def counted(model, batch):
            traces.append(None)
            return squares(model, batch)

        def train(model):
            return fit(model, counted, batch, steps=STEPS, optimizer=ADAM)

        train(line())
        before = len(traces)
        close(train(line(1))[:2], alone(line, 1))
        assert len(traces) == before
        close(train(network())[:2], alone(network, 0))
        assert len(traces) > before

    @pytest.mark.long
    def test_nor_does_the_same_mesh(self):
        traces, compiled = [], []

        def counted(model, batch):
            traces.append(None)
            return (model(batch) ** 2).mean()

        for _ in range(2):
            mesh = Mesh(np.array(jax.devices()[:2]), ("data",))
            fit(line(), counted, np.ones((4, I)), steps=2, optimizer=ADAM, mesh=mesh)
            compiled.append(len(traces))
        assert compiled[0] == compiled[1] > 0

    def test_a_loss_may_be_an_object_that_has_no_hash(self, batch, close):
        class Squares(dict):
            def __call__(self, model, batch):
                return squares(model, batch)

        history = fit(line(), Squares(), batch, steps=STEPS, optimizer=ADAM)
        close(history[:2], alone(line, 0))

    def test_what_a_model_holds_beside_parameters_is_its_own(self):
        class Scaled(nnx.Module):
            def __init__(self, scale):
                self.weight = nnx.Param(jnp.ones(()))
                self.scale = nnx.Variable(jnp.asarray(scale))

        def loss(model, batch):
            return model.scale[...] * model.weight[...] * batch, {}

        for scale in (2.0, 3.0):
            history = fit(Scaled(scale), loss, jnp.ones(()), steps=1, optimizer=ADAM)
            assert history.loss[0] == scale

    def test_long_work_runs_in_twenty_calls_and_short_work_in_one(self, monkeypatch):
        calls = []

        class Recorder:
            def __init__(self, description, total):
                calls.append((description, total))

            def __enter__(self):
                return self

            def __call__(self, count, note=""):
                calls.append(count)

            hidden = staticmethod(nullcontext)

            def __exit__(self, *error):
                return None

        monkeypatch.setattr(loop, "progress_bar", Recorder)
        run = {"steps": 38, "optimizer": optax.sgd(0.1), "description": "toy"}
        fit(Root(9.0), root, jnp.ones(()), **run)
        assert calls == [("toy", 38), 0, 38]
        calls.clear()
        monkeypatch.setattr(program, "ONE_CALL_OPERATIONS", 100)
        fit(Root(9.0), root, jnp.ones(()), **run)
        assert calls == [("toy", 38), 0, *[2] * 19]


class Root(nnx.Module):
    """A number; ``root`` lowers it by one in each step with ``optax.sgd(1)``, to below zero."""

    def __init__(self, start):
        self.value = nnx.Param(jnp.asarray(start))


def root(model, batch):
    """The value, which is NaN below zero; its gradient is 1 everywhere."""
    value = model.value[...]
    return value * batch + jax.lax.stop_gradient(jnp.where(value < 0, jnp.nan, 0.0)), {"at": value}


class TestNonFiniteLoss:
    @pytest.mark.parametrize("steps_per_call", [1, 2, 3, None])
    @pytest.mark.parametrize(("start", "step"), [(-1.0, 1), (0.5, 2), (3.5, 5)])
    def test_is_named_and_the_model_keeps_its_weights(self, start, step, steps_per_call):
        model = Root(start)
        with pytest.raises(NonFiniteLossError, match=f"loss at step {step} is nan") as error:
            fit(
                model,
                root,
                jnp.ones(()),
                steps=8,
                optimizer=optax.sgd(1.0),
                steps_per_call=steps_per_call,
            )
        assert isinstance(error.value, FloatingPointError)
        assert error.value.step == step
        assert np.isnan(error.value.loss)
        history = error.value.history
        np.testing.assert_array_equal(history.loss[:-1], start - np.arange(step - 1))
        assert np.isnan(history.loss[-1])
        np.testing.assert_array_equal(history.metrics["at"], start - np.arange(step))
        assert model.value[...] == start

    def test_of_infinity(self):
        with pytest.raises(NonFiniteLossError, match=r"step 1 is inf: .*learning rate") as error:
            fit(Root(1.0), root, jnp.full((), jnp.inf), steps=3, optimizer=optax.sgd(1.0))
        assert error.value.history.loss.tolist() == [np.inf]

    def test_in_the_inputs(self, batch):
        model = line()
        before = parameters(model)
        batch["x"] = batch["x"].at[2, 1, 0].set(jnp.nan)
        with pytest.raises(NonFiniteLossError, match="step 1 is nan"):
            fit(model, squares, batch, steps=3, optimizer=ADAM)
        jax.tree.map(np.testing.assert_array_equal, parameters(model), before)


class TestSeeds:
    def test_more_losses_than_fit_into_memory_are_refused(self):
        with pytest.raises(ValueError, match=r"got 40,000,000.0 GB for 100,000,000,000,000 seeds"):
            fit_seeds(
                Root, root, jnp.ones(()), seeds=range(10**14), steps=100, optimizer=optax.sgd(1.0)
            )

    @cases(
        ("build", "seeds", "seeds_per_call"),
        [
            (network, [3, 0, 7], 1000),
            (line, [3, 0, 7, 1, 5], 2),
            (line, [3, 0, 7, 1, 5], 3),
            (line, [7, 3], 1),
        ],
        short=1,
    )
    def test_each_seed_is_a_fit_and_all_slices_are_one_program(
        self, build, seeds, seeds_per_call, batch, close
    ):
        traces = []

        def counted(rngs):
            traces.append(None)
            return Network(rngs) if build is network else Linear(I, 2, rngs=rngs)

        options = {"steps": STEPS, "optimizer": ADAM, "seeds_per_call": seeds_per_call}
        history = fit_seeds(counted, squares, batch, seeds=seeds, **options)
        fit_seeds(counted, squares, batch, seeds=seeds[::-1], **options)
        assert len(traces) == 1
        assert history.loss.shape == (len(seeds), STEPS)
        assert type(history.loss) is np.ndarray
        for k, seed in enumerate(seeds):
            close(jax.tree.map(lambda leaf, k=k: leaf[k], history[:2]), alone(build, seed))

    def test_a_seed_that_diverges_ends_nothing(self):
        def build(rngs):
            return Root(jax.random.uniform(rngs.params(), (), minval=-3.0, maxval=8.0))

        history = fit_seeds(
            build, root, jnp.ones(()), seeds=range(20), steps=3, optimizer=optax.sgd(1.0)
        )
        expected = history.metrics["at"] < 0
        assert 0 < expected.any(1).sum() < 20
        np.testing.assert_array_equal(np.isnan(history.loss), expected)

    def test_every_trained_model_is_evaluated(self, batch, close):
        seeds, trained = [3, 0, 7], []
        history = fit_seeds(
            lambda rngs: Linear(I, 2, rngs=rngs),
            squares,
            batch,
            seeds=seeds,
            steps=STEPS,
            optimizer=ADAM,
            evaluate=lambda model: trained.append(parameters(model)) or {"loss": len(trained)},
            seeds_per_call=2,
        )
        assert history.evaluations == tuple(
            {"seed": seed, "loss": k} for k, seed in enumerate(seeds, 1)
        )
        for seed, found in zip(seeds, trained, strict=True):
            model = line(seed)
            fit(model, squares, batch, steps=STEPS, optimizer=ADAM)
            close(found, parameters(model))

    @pytest.mark.parametrize(
        ("wrong", "error", "message"),
        [
            ({"data": Shuffled({"x": np.ones((4, 1))}, 2, 0)}, TypeError, "got Shuffled; .*lambda"),
            ({"accumulate": 2}, ValueError, "accumulate: expected batches .* got the same arrays"),
        ],
        ids=["batches without a seed", "accumulate"],
    )
    def test_refuses_other_data(self, wrong, error, message):
        options = {"data": jnp.ones(()), "seeds": [0], "steps": 1, **wrong}
        with pytest.raises(error, match=message):
            fit_seeds(Root, root, optimizer=optax.sgd(0.1), **options)

    @pytest.mark.parametrize(
        "wrong", [{"seeds": []}, {"steps": 0}, {"seeds_per_call": 0}], ids=lambda wrong: str(wrong)
    )
    def test_refuses_nothing_to_do(self, wrong):
        options = {"seeds": [0], "steps": 1, "seeds_per_call": 1, **wrong}
        with pytest.raises(ValueError, match=r"expected at least (1|one seed).*, got (0|none)"):
            fit_seeds(Root, root, jnp.ones(()), optimizer=optax.sgd(0.1), **options)


@pytest.mark.parametrize(
    "train",
    [
        lambda **options: fit(Root(20.0), root, jnp.ones(()), steps_per_call=1, **options),
        lambda **options: fit_seeds(
            lambda rngs: Root(20.0),
            root,
            jnp.ones(()),
            seeds=range(5),
            seeds_per_call=2,
            **options,
        ),
    ],
    ids=["fit", "fit_seeds"],
)
def test_seconds_are_those_of_compiler_and_program(train):
    start = time.perf_counter()
    history = train(steps=5, optimizer=optax.sgd(1.0))
    passed = time.perf_counter() - start
    assert min(history.compile_seconds, history.run_seconds) > 0
    assert history.compile_seconds + history.run_seconds < passed


class TestDevices:
    @pytest.mark.parametrize(
        ("build", "spec"),
        [(network, PartitionSpec()), (line, PartitionSpec(None, "device"))],
        ids=["replicated", "batch over devices"],
    )
    def test_eight_devices_give_the_losses_of_one(self, build, spec, batch, close):
        mesh = Mesh(np.array(jax.devices()), ("device",))
        assert mesh.size == 8
        replicated = NamedSharding(mesh, PartitionSpec())
        model = build()
        nnx.update(model, jax.device_put(nnx.state(model), replicated))
        shared = {
            "x": jax.device_put(batch["x"], NamedSharding(mesh, spec)),
            "y": jax.device_put(batch["y"], replicated),
        }
        history = fit(model, squares, shared, steps=STEPS, optimizer=ADAM, steps_per_call=3)
        close((history.loss, history.metrics, parameters(model)), by_hand(build))
        for leaf in jax.tree.leaves(nnx.state(model)):
            assert len(leaf.sharding.device_set) == 8


class TestProgressBar:
    @pytest.fixture
    def show(self, monkeypatch):
        """``show(work)``: what a console shows of a bar of 3 steps while ``work(bar, screen)``."""

        def shown(work, patience=-1, terminal=True):
            monkeypatch.setattr(progress, "PATIENCE", patience)
            screen = io.StringIO()
            console = Console(file=screen, force_terminal=terminal, width=80)
            with progress_bar("training", 3, console) as bar:
                work(bar, screen)
            return screen.getvalue()

        return shown

    def test_shows_long_work(self, show):
        screen = show(lambda bar, _: (bar(1, "loss 0"), bar(1, "loss 1")))
        assert all(words in screen for words in ("training", "2/3", "loss 1"))
        assert "\x1b[?25l" in screen  # the cursor is away, and comes back when the bar is erased
        assert screen.rindex("\x1b[?25h") > screen.rindex("training")
        assert screen.rindex("\x1b[2K") > screen.rindex("training")

    def test_shows_work_that_does_not_advance_yet(self, show):
        def wait(bar, screen):
            bar(0, "compiling")
            deadline = time.monotonic() + 5
            while "compiling" not in screen.getvalue() and time.monotonic() < deadline:
                time.sleep(0.01)

        assert "compiling" in show(wait, patience=0.01)

    def test_is_away_while_something_else_is_printed(self, show):
        def hide(bar, screen):
            bar(1)
            with bar.hidden():
                before = screen.getvalue()
                time.sleep(0.15)
                assert screen.getvalue() == before and before.endswith("\x1b[2K")

        show(hide)

    @pytest.mark.parametrize(
        ("steps", "options"),
        [(2, {"patience": 60}), (3, {}), (2, {"terminal": False})],
        ids=["short work", "work that is done", "a file"],
    )
    def test_stays_away_from(self, steps, options, show):
        assert show(lambda bar, _: bar(steps), **options).strip() == ""

    def test_ends_with_an_error_of_the_work(self, show):
        screens = []

        def fail(bar, screen):
            bar(1)
            screens.append(screen)
            raise KeyError

        with pytest.raises(KeyError):
            show(fail)
        assert screens[0].getvalue().endswith("\x1b[2K")
