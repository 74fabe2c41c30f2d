"""State of a model that is no parameter: every batch finds what the one before has left."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from jax_rnn import fit
from jax_rnn.train import Checkpoints, Run, Stream, load, make_mesh
from jax_rnn.train.seeds import fit_seeds
from jax_rnn.train.step import prepare
from tests.kit import refused
from tests.train.kit import SGD

I, H, B, STEPS = 3, 5, 4, 4  # noqa: E741

pytestmark = pytest.mark.filterwarnings("ignore:Using 'Module.sow")


class Count(nnx.Variable):
    """A kind of variable of the user's own."""


class Model(nnx.Module):
    """Every kind of state: statistics, random keys and counts, shared, plain and nested arrays."""

    def __init__(self, rngs):
        self.norm = nnx.BatchNorm(I, rngs=rngs)
        self.shared = self.norm
        self.dropout = nnx.Dropout(0.5, rngs=rngs)
        self.spectral = nnx.SpectralNorm(nnx.Linear(I, H, rngs=rngs), rngs=rngs)
        self.calls = Count(0)
        self.nested = nnx.Variable((jnp.ones(2), {"of three": jnp.ones(3)}))
        self.plain = jnp.ones(2)

    def __call__(self, x):
        self.calls.set_value(self.calls.get_value() + 1)
        self.plain = self.plain / 2
        y = self.dropout(self.spectral(self.shared(x)))
        self.sow(nnx.Intermediate, "outputs", y)
        return y


def loss(model, batch):
    return ((model(batch[0]) - 1) ** 2).mean()


DATA = [(np.random.default_rng(k).normal(size=(B, I)).astype(np.float32),) for k in range(3)]
MODEL = {"model": {"class": f"{__name__}:Model", "options": {}}}


def train(steps=STEPS, model=None, **options):
    model = Model(nnx.Rngs(0)) if model is None else model
    return model, fit(model, loss, DATA, **{"steps": steps, "optimizer": SGD} | options)


def arrays(model):
    """All arrays of a model by name, keys as numbers."""
    leaves = jax.tree_util.tree_flatten_with_path(nnx.state(model))[0]
    return {jax.tree_util.keystr(path): numbers(leaf) for path, leaf in leaves}


def numbers(leaf):
    is_key = jnp.issubdtype(jnp.result_type(leaf), jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(leaf) if is_key else leaf)


def equal(a, b):
    jax.tree.map(np.testing.assert_array_equal, arrays(a), arrays(b))


@pytest.fixture(scope="module")
def trained():
    return train()


def test_training_is_the_loop_written_by_hand(trained, close):
    graphdef, params, state = nnx.split(Model(nnx.Rngs(0)), nnx.Param, ...)

    @jax.jit
    def gradient(params, leaves, batch):
        def value(params):
            model = nnx.merge(
                graphdef, params, jax.tree.unflatten(jax.tree.structure(state), leaves)
            )
            found = loss(model, batch)
            return found, jax.tree.leaves(nnx.split(model, nnx.Param, nnx.Intermediate, ...)[3])

        return jax.value_and_grad(value, has_aux=True)(params)

    losses, leaves = [], jax.tree.leaves(state)
    for k in range(STEPS):
        (found, leaves), grads = gradient(params, leaves, DATA[k % 3])
        params = jax.tree.map(lambda p, g: p - 0.1 * g, params, grads)
        losses.append(found)
    model = Model(nnx.Rngs(0))
    nnx.update(model, params, jax.tree.unflatten(jax.tree.structure(state), leaves))
    close(trained[1].loss, np.array(losses), 1e-6)
    close(arrays(trained[0]), arrays(model), 1e-6)
    assert int(model.calls[...]) == int(model.dropout.rngs.count[...]) == STEPS


def test_the_kinds_of_state_have_changed(trained):
    before, after = arrays(Model(nnx.Rngs(0))), arrays(trained[0])
    fixed = [name for name in before if np.array_equal(before[name], after[name])]
    assert sorted(name.split("'")[1] for name in fixed) == ["dropout", "nested", "nested"]
    assert not hasattr(trained[0], "outputs")  # sown ones are dropped


def test_an_evaluation_sees_the_state_and_does_not_change_it(trained):
    seen = []

    def evaluate(model):
        seen.append((model.dropout.deterministic, arrays(model)))
        model.train()
        loss(model, DATA[0])
        return {"loss": 0.0}

    model, _ = train(evaluate=evaluate, evaluate_every=2)
    equal(model, trained[0])
    assert [deterministic for deterministic, _ in seen] == [True, True]
    jax.tree.map(np.testing.assert_array_equal, seen[1][1], arrays(trained[0]))
    assert not np.array_equal(seen[0][1]["['norm']['mean'].value"], trained[0].norm.mean[...])


def test_a_resumed_run_is_the_same_bit_for_bit_and_can_be_loaded(trained, tmp_path):
    for steps in (2, STEPS):
        with Run(tmp_path, MODEL, resume=True) as run:
            model, history = train(steps, run=run)
    assert (history.loss == trained[1].loss[2:]).all()
    equal(model, trained[0])
    equal(load(tmp_path, model=Model), trained[0])
    names = Checkpoints(tmp_path / "checkpoints").about(STEPS).dtypes
    assert names["model_state/dropout/rngs/key/value"] == "uint32"


def test_the_batches_of_a_step_follow_one_another():
    steps, _ = train(4, accumulate=1, optimizer=optax.sgd(0.0))
    both, _ = train(2, accumulate=2, optimizer=optax.sgd(0.0))
    assert int(both.calls[...]) == 4
    np.testing.assert_allclose(both.norm.mean[...], steps.norm.mean[...], rtol=1e-6)


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:scatter inputs")  # nnx.SpectralNorm writes float32
def test_state_keeps_its_dtype_when_parameters_are_cast(trained):
    model, history = train(compute_dtype=jnp.bfloat16)
    dtypes = [{k: v.dtype for k, v in arrays(m).items()} for m in (model, trained[0])]
    assert dtypes[0] == dtypes[1]
    np.testing.assert_allclose(history.loss, trained[1].loss, rtol=0.05)


def test_two_devices_have_the_statistics_of_the_whole_batch(trained, close):
    model, history = train(mesh=make_mesh("data=2"))
    close(history.loss, trained[1].loss, 1e-6)
    close(arrays(model), arrays(trained[0]), 1e-6)


@pytest.mark.long
def test_every_seed_of_a_sweep_has_its_state(close):
    found = []
    options = {"seeds": [0, 3], "steps": STEPS, "optimizer": SGD}
    options["evaluate"] = lambda model: found.append(arrays(model)) or {}
    history = fit_seeds(Model, loss, lambda seed: Stream(DATA), **options)
    for k, seed in enumerate(options["seeds"]):
        model, alone = train(model=Model(nnx.Rngs(seed)))
        close(history.loss[k], alone.loss, 1e-5)
        close(found[k], arrays(model), 1e-5)


def test_another_model_of_the_kind_needs_no_new_program(trained, compilations):
    model = Model(nnx.Rngs(1))
    loss(model, DATA[0])  # leaves nnx.Intermediate, which training ignores
    before = len(compilations)
    train(model=model)
    assert len(compilations) == before
    assert len(model.outputs) == 1


class Small(nnx.Module):
    def __init__(self, rngs=None, **more):
        self.weight = nnx.Param(jnp.ones(2))
        self.state = nnx.Variable(jnp.zeros(2))
        for name, value in more.items():
            setattr(self, name, value)


def go(change, **more):
    """Two steps with a loss that changes the model; the gradient is 1 everywhere."""

    def loss(model, batch):
        value = model.weight[...].sum()
        change(model)
        return value

    model = Small(**more)
    fit(model, loss, jnp.ones(1), steps=2, optimizer=SGD)
    return model


WRONG = {
    "created": lambda model: setattr(model, "new", nnx.Variable(jnp.ones(1))),
    "created parameter": lambda model: setattr(model, "new", nnx.Param(jnp.ones(1))),
    "removed": lambda model: delattr(model, "state"),
    "reshaped": lambda model: model.state.set_value(jnp.ones(3)),
}


class TestLoss:
    def test_a_parameter_is_changed_by_the_optimizer_alone(self):
        def change(model):
            model.weight[...] = 5 * model.weight[...]
            model.state[...] = model.weight[...]

        model = go(change)
        np.testing.assert_allclose(model.weight[...], 0.8)
        np.testing.assert_allclose(model.state[...], 4.5)

    @pytest.mark.long
    @pytest.mark.parametrize("transform", [nnx.remat, nnx.jit])
    def test_a_layer_may_be_transformed(self, transform):
        def change(model):
            transform(lambda norm, x: norm(x))(model.norm, jnp.ones((3, 2)))

        model = go(change, norm=nnx.BatchNorm(2, rngs=nnx.Rngs(0)))
        np.testing.assert_allclose(model.norm.mean[...], 1 - 0.99**2, rtol=1e-5)

    def test_a_variable_may_be_replaced_by_another_and_keeps_its_dtype(self):
        def change(model):
            model.state = nnx.Variable((model.state[...] + 1).astype(jnp.bfloat16))

        state = go(change).state[...]
        assert (state.dtype, state.tolist()) == (jnp.float32, [2, 2])

    @pytest.mark.parametrize("name", WRONG)
    def test_a_loss_that_changes_the_variables_themselves_is_refused(self, name):
        words = f"model: expected a loss |changed {'new' if 'created' in name else 'state'}; create"
        refused(ValueError, words, lambda: go(WRONG[name]))

    def test_a_variable_of_text_is_refused(self):
        words = "model: expected variables that hold numbers |; keep"
        refused(TypeError, words, lambda: go(lambda model: None, name=nnx.Variable("text")))

    def test_a_model_without_such_state_has_none(self, tmp_path):
        state = prepare(nnx.Linear(I, 2, rngs=nnx.Rngs(0)), loss, SGD).state
        assert jax.tree.leaves(state.model_state) == []
        checkpoints = Checkpoints(tmp_path)
        checkpoints.save(1, state, {})
        names = checkpoints.about(1).dtypes
        assert set(names) == {"params/bias/value", "params/kernel/value", "step"}
