"""Training: the compiled loop against one written by hand, many seeds, and failures."""

import io
import time
from contextlib import contextmanager, nullcontext
from functools import cache, partial
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
from tests.kit import cases, refused

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


def wide(rngs):
    return Linear(I, 2, rngs=rngs)


def line(seed=0):
    """The smallest model, for tests that need any model."""
    return wide(nnx.Rngs(seed))


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


def counted(function):
    """The function, and a list that grows when it is called or traced."""
    calls = []

    def called(*arguments):
        calls.append(None)
        return function(*arguments)

    return called, calls


def countdown(start, batch=1.0, steps=8, **options):
    """``fit`` of ``root``, which lowers the value from ``start`` by one a step; the model."""
    options = {"steps": steps, "optimizer": optax.sgd(1.0)} | options
    return fit(Root(start), root, jnp.full((), batch), **options)


class TestFit:
    @cases("optimizer", OPTIMIZERS, short=1)
    def test_is_the_loop_written_by_hand(self, optimizer, batch, close):
        model = network()
        history = fit(model, squares, batch, steps=STEPS, optimizer=OPTIMIZERS[optimizer])
        expected = by_hand(network, optimizer)
        close((history.loss, history.metrics, parameters(model)), expected)

    @pytest.mark.parametrize("steps_per_call", [1, 4, 100])
    def test_calls_of_any_length_give_the_same(self, steps_per_call, batch, close):
        model, options = line(), {"optimizer": ADAM, "steps_per_call": steps_per_call}
        history = fit(model, squares, batch, steps=STEPS, **options)
        close((history.loss, history.metrics, parameters(model)), by_hand(line))

    def test_compiler_options_are_those_of_the_program(self, batch, close, monkeypatch):
        jit, seen, model = jax.jit, [], line()
        options = {"xla_cpu_multi_thread_eigen": False}

        def spy(function, **given):
            seen.append(given.get("compiler_options"))
            return jit(function, **given)

        monkeypatch.setattr("jax_rnn.train.program.jax.jit", spy)
        history = fit(model, squares, batch, steps=STEPS, optimizer=ADAM, compiler_options=options)
        close((history.loss, history.metrics, parameters(model)), by_hand(line))
        assert options in seen

    def test_history_is_numpy_with_one_entry_a_step(self, batch):
        history = fit(line(), squares, batch, steps=STEPS, optimizer=ADAM)
        shapes = {"outputs": (STEPS, B, 2), "bias": (STEPS,)}
        assert history.loss.shape == (STEPS,)
        assert {name: leaf.shape for name, leaf in history.metrics.items()} == shapes
        assert all(type(leaf) is np.ndarray for leaf in jax.tree.leaves(history[:2]))

    def test_lowers_the_loss_and_updates_the_parameters_that_the_model_has(self, batch):
        model = network()
        held, before = model.linear.kernel, parameters(model)
        history = fit(model, squares, batch, steps=60, optimizer=ADAM)
        assert history.loss[-1] < 0.01 * history.loss[0]
        assert model.linear.kernel is held
        changed = jax.tree.map(lambda a, b: bool((a != b).all()), parameters(model), before)
        assert all(jax.tree.leaves(changed))

    def test_trains_what_is_a_parameter_and_nothing_else_and_each_model_has_its_own(self):
        class Scaled(nnx.Module):
            def __init__(self, scale):
                self.weight = nnx.Param(jnp.ones(()))
                self.scale = nnx.Variable(jnp.asarray(scale))

        def loss(model, batch):
            return model.scale[...] * model.weight[...] * batch, {}

        for scale in (1.0, 2.0):
            model = Scaled(scale)
            history = fit(model, loss, jnp.ones(()), steps=3, optimizer=optax.sgd(0.25 / scale))
            assert history.loss[0] == scale
            assert (float(model.weight[...]), float(model.scale[...])) == (0.25, scale)

    def test_traces_once_for_each_number_of_steps(self, batch):
        loss, traces = counted(squares)
        fit(line(), loss, batch, steps=7, optimizer=ADAM, steps_per_call=2)
        assert len(traces) == 2

    def test_another_model_of_the_same_kind_needs_no_new_program(self, batch, close):
        loss, traces = counted(squares)

        def train(model):
            return fit(model, loss, batch, steps=STEPS, optimizer=ADAM)

        train(line())
        before = len(traces)
        close(train(line(1))[:2], alone(line, 1))
        assert len(traces) == before
        close(train(network())[:2], alone(network, 0))
        assert len(traces) > before

    @pytest.mark.long
    def test_nor_does_the_same_mesh(self):
        loss, traces = counted(lambda model, batch: (model(batch) ** 2).mean())
        compiled = []
        for _ in range(2):
            mesh = Mesh(np.array(jax.devices()[:2]), ("data",))
            fit(line(), loss, np.ones((4, I)), steps=2, optimizer=ADAM, mesh=mesh)
            compiled.append(len(traces))
        assert compiled[0] == compiled[1] > 0

    def test_a_loss_may_be_an_object_that_has_no_hash(self, batch, close):
        class Squares(dict):
            def __call__(self, model, batch):
                return squares(model, batch)

        history = fit(line(), Squares(), batch, steps=STEPS, optimizer=ADAM)
        close(history[:2], alone(line, 0))

    def test_long_work_runs_in_twenty_calls_and_short_work_in_one(self, monkeypatch):
        calls = []

        @contextmanager
        def recorder(description, total):
            calls.append((description, total))
            bar = lambda count, note="": calls.append(count)  # noqa: E731
            bar.hidden = nullcontext
            yield bar

        monkeypatch.setattr(loop, "progress_bar", recorder)
        run = {"steps": 38, "optimizer": optax.sgd(0.1), "description": "toy"}
        countdown(9.0, **run)
        assert calls == [("toy", 38), 0, 38]
        calls.clear()
        monkeypatch.setattr(program, "ONE_CALL_OPERATIONS", 100)
        countdown(9.0, **run)
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
        model, options = Root(start), {"steps": 8, "steps_per_call": steps_per_call}
        with pytest.raises(NonFiniteLossError, match=f"loss at step {step} is nan") as error:
            fit(model, root, jnp.ones(()), optimizer=optax.sgd(1.0), **options)
        assert isinstance(error.value, FloatingPointError)
        assert error.value.step == step and np.isnan(error.value.loss)
        history = error.value.history
        np.testing.assert_array_equal(history.loss, [*(start - np.arange(step - 1)), np.nan])
        np.testing.assert_array_equal(history.metrics["at"], start - np.arange(step))
        assert model.value[...] == start

    def test_of_infinity(self):
        with pytest.raises(NonFiniteLossError, match=r"step 1 is inf: .*learning rate") as error:
            countdown(1.0, jnp.inf)
        assert error.value.history.loss.tolist() == [np.inf]

    def test_in_the_inputs(self, batch):
        model = line()
        before = parameters(model)
        batch["x"] = batch["x"].at[2, 1, 0].set(jnp.nan)
        train = partial(fit, model, squares, batch, steps=3, optimizer=ADAM)
        refused(NonFiniteLossError, "step 1 is nan", train)
        jax.tree.map(np.testing.assert_array_equal, parameters(model), before)


SHUFFLED = Shuffled({"x": np.ones((4, 1))}, 2, 0)
MANY = {"seeds": range(10**14), "steps": 100}
WRONG = [
    (MANY, ValueError, "got 40,000,000.0 GB for 100,000,000,000,000 seeds"),
    ({"data": SHUFFLED}, TypeError, "got Shuffled; |lambda"),
    ({"accumulate": 2}, ValueError, "accumulate: expected 1, since|got 2"),
    ({"seeds": []}, ValueError, "seeds|expected at least one seed|got none"),
    ({"steps": 0}, ValueError, "steps|expected at least 1|got 0"),
    ({"seeds_per_call": 0}, ValueError, "seeds_per_call|expected at least 1|got 0"),
]
SLICES = [(network, [3, 0, 7], 1000)]
SLICES += [(line, [3, 0, 7, 1, 5], 2), (line, [3, 0, 7, 1, 5], 3), (line, [7, 3], 1)]


class TestSeeds:
    @pytest.mark.parametrize(("wrong", "error", "words"), WRONG, ids=[row[-1] for row in WRONG])
    def test_refuses(self, wrong, error, words):
        options = {"data": jnp.ones(()), "seeds": [0], "steps": 1, "optimizer": optax.sgd(0.1)}
        refused(error, words, lambda: fit_seeds(Root, root, **options | wrong))

    @cases("row", range(len(SLICES)), short=1)
    def test_each_seed_is_a_fit_and_all_slices_are_one_program(self, row, batch, close):
        build, seeds, seeds_per_call = SLICES[row]
        model, traces = counted(Network if build is network else wide)
        options = {"steps": STEPS, "optimizer": ADAM, "seeds_per_call": seeds_per_call}
        history = fit_seeds(model, squares, batch, seeds=seeds, **options)
        fit_seeds(model, squares, batch, seeds=seeds[::-1], **options)
        assert len(traces) == 1
        assert history.loss.shape == (len(seeds), STEPS) and type(history.loss) is np.ndarray
        for k, seed in enumerate(seeds):
            close(jax.tree.map(lambda leaf, k=k: leaf[k], history[:2]), alone(build, seed))

    def test_a_seed_that_diverges_ends_nothing(self):
        def build(rngs):
            return Root(jax.random.uniform(rngs.params(), (), minval=-3.0, maxval=8.0))

        options = {"seeds": range(20), "steps": 3, "optimizer": optax.sgd(1.0)}
        history = fit_seeds(build, root, jnp.ones(()), **options)
        expected = history.metrics["at"] < 0
        assert 0 < expected.any(1).sum() < 20
        np.testing.assert_array_equal(np.isnan(history.loss), expected)

    def test_every_trained_model_is_evaluated(self, batch, close):
        seeds, trained = [3, 0, 7], []
        options = {"steps": STEPS, "optimizer": ADAM, "seeds_per_call": 2, "seeds": seeds}
        options["evaluate"] = lambda model: (
            trained.append(parameters(model)) or {"loss": len(trained)}
        )
        history = fit_seeds(wide, squares, batch, **options)
        found = [(row["seed"], row["loss"]) for row in history.evaluations]
        assert found == [(3, 1), (0, 2), (7, 3)]
        for seed, found in zip(seeds, trained, strict=True):
            model = line(seed)
            fit(model, squares, batch, steps=STEPS, optimizer=ADAM)
            close(found, parameters(model))


MANY_ROOTS = {"seeds": range(5), "seeds_per_call": 2, "optimizer": optax.sgd(1.0)}


@pytest.mark.parametrize("seeds", [False, True])
def test_seconds_are_those_of_compiler_and_program(seeds):
    start = time.perf_counter()
    if seeds:
        history = fit_seeds(lambda _: Root(20.0), root, jnp.ones(()), steps=5, **MANY_ROOTS)
    else:
        history = countdown(20.0, steps=5, steps_per_call=1)
    passed = time.perf_counter() - start
    assert min(history.compile_seconds, history.run_seconds) > 0
    assert history.compile_seconds + history.run_seconds < passed


@pytest.mark.parametrize(
    ("build", "spec"),
    [(network, PartitionSpec()), (line, PartitionSpec(None, "device"))],
    ids=["replicated", "batch over devices"],
)
def test_eight_devices_give_the_losses_of_one(build, spec, batch, close):
    mesh = Mesh(np.array(jax.devices()), ("device",))
    assert mesh.size == 8
    replicated, spread = (NamedSharding(mesh, axes) for axes in (PartitionSpec(), spec))
    model = build()
    nnx.update(model, jax.device_put(nnx.state(model), replicated))
    shared = jax.device_put(batch, {"x": spread, "y": replicated})
    history = fit(model, squares, shared, steps=STEPS, optimizer=ADAM, steps_per_call=3)
    close((history.loss, history.metrics, parameters(model)), by_hand(build))
    assert all(len(leaf.sharding.device_set) == 8 for leaf in jax.tree.leaves(nnx.state(model)))


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
