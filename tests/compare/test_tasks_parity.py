"""Lessons on real data in both frameworks: the same recipe, batches, weights, and so the same run.

Small sizes, all different. The gradient is long enough to be clipped, the learning rate rises and
falls, weights decay, and one lesson carries its state over the end of its text.
"""

import json
from dataclasses import asdict, replace
from functools import cache
from importlib.metadata import version

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

torch = pytest.importorskip("torch")


import reference_torch.seq2seq  # noqa: E402
from jax_rnn import load_torch_state_dict, torch_state_dict  # noqa: E402
from jax_rnn.lecture.compare.comparison import write_json  # noqa: E402
from jax_rnn.lecture.compare.parity import compare  # noqa: E402
from jax_rnn.lecture.lessons import DATA_SETS, load  # noqa: E402
from jax_rnn.lecture.teaching import lesson as lesson_module  # noqa: E402
from jax_rnn.lecture.teaching.lesson import learning_rates  # noqa: E402
from reference_torch.teaching.training import learning_rate_factor, train  # noqa: E402
from rnn_lecture.recipe import Recipe  # noqa: E402
from rnn_lecture.sampling import Sampling  # noqa: E402
from tests.kit import cases  # noqa: E402

pytestmark = pytest.mark.usefixtures("little_data")

SIDES = ("jax", "torch")
STEPS = 50
TOLERANCE = 1e-10
SMALL = Recipe(
    embedding_size=5,
    hidden_size=7,
    batch_size=6,
    window=9,
    steps=STEPS,
    learning_rate=0.02,
    warmup=8,
    schedule="cosine",
    weight_decay=0.03,
    clip=0.05,
)
RECIPES = {
    "names": replace(SMALL, dropout=0.3),
    "names_generate": replace(SMALL, accumulate=2, schedule="linear"),
    "char_lm": replace(SMALL, cell="lstm", num_layers=2),
    "seq2seq": SMALL,
    "seq2seq_attention": SMALL,
}


@cache
def compared(name):
    return compare(name, seed=3, steps=STEPS, dtype="float64", recipe=RECIPES[name])


def without_dropout(name):
    return replace(RECIPES[name], dropout=0.0, dtype="float64")


@cache
def both(name):
    """Lessons of the two trees, with the recipe and the data."""
    ours, theirs = load(name), reference_torch.load(name)
    recipe = without_dropout(name)
    return (ours, recipe, ours.read(recipe)), (theirs, recipe, theirs.read(recipe))


def torch_module(name):
    _, (theirs, recipe, data) = both(name)
    torch.manual_seed(3)
    return theirs.build(recipe, data.vocabulary).double()


def torch_losses(name):
    _, (theirs, recipe, data) = both(name)
    return np.array([step.loss for step in train(theirs, torch_module(name), recipe, data)])


class TestFloat64:
    @pytest.mark.parametrize("name", DATA_SETS)
    def test_the_first_50_steps_and_the_figures_after_them_are_equal(self, name):
        result = compared(name)
        ours, theirs = (np.array(result.loss[side]) for side in SIDES)
        assert ours.shape == theirs.shape == (STEPS,)
        assert np.abs(ours - theirs).max() <= TOLERANCE
        assert ours[-10:].mean() < ours[:10].mean()
        assert result.figures["jax"].keys() == result.figures["torch"].keys()
        for key, value in result.figures["jax"].items():
            assert value == pytest.approx(result.figures["torch"][key], abs=TOLERANCE), key
        assert "loss" in result.figures["jax"]
        assert result.max_abs_weight_difference <= 10 * TOLERANCE
        # the reported differences are those of the reported numbers
        assert result.max_abs_loss_difference == np.abs(ours - theirs).max()
        assert result.max_abs_figure_difference <= TOLERANCE
        assert result.rungs[-1].passed
        assert result.rungs[-1].name == "5 steps of Adam"
        assert result.dropout == RECIPES[name].dropout
        assert result.recipe == asdict(without_dropout(name))

    @cases("name", DATA_SETS, short=1)
    def test_torch_alone_gives_the_losses_that_the_comparison_reports(self, name):
        np.testing.assert_array_equal(torch_losses(name), compared(name).loss["torch"])

    @cases("name", DATA_SETS, short=1)
    def test_weights_load_both_ways_and_say_the_same(self, name, x64):
        (ours, recipe, data), _ = both(name)
        module = torch_module(name)
        model = ours.build(recipe, data.vocabulary, rngs=nnx.Rngs(0))
        load_torch_state_dict(model, module.state_dict())
        other = torch_module(name)
        with torch.no_grad():
            for parameter in other.parameters():
                parameter.zero_()
        other.load_state_dict({k: torch.tensor(v) for k, v in torch_state_dict(model).items()})
        for key, value in module.state_dict().items():
            assert torch.equal(other.state_dict()[key], value), key

    @cases(("name", "prompt"), [("char_lm", "ab"), ("names_generate", "Greek:A")], short=1)
    def test_the_likeliest_answer_is_the_same(self, name, prompt, x64):
        (ours, recipe, data), (theirs, _, their_data) = both(name)
        module = torch_module(name).eval()
        model = ours.build(recipe, data.vocabulary, rngs=nnx.Rngs(0))
        load_torch_state_dict(model, module.state_dict())
        model.eval()
        sampling = Sampling(temperature=0, length=11)
        answer = "".join(ours.respond(model, data.vocabulary, prompt, sampling))
        assert answer == "".join(theirs.respond(module, their_data.vocabulary, prompt, sampling))
        assert len(answer) >= 10

    @pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
    @pytest.mark.parametrize("warmup", [0, 7])
    def test_learning_rates_are_equal_at_every_step(self, schedule, warmup, x64):
        options = {"steps": 30, "warmup": warmup, "schedule": schedule, "learning_rate": 0.03}
        recipe = Recipe(**options)
        rates = learning_rates(recipe)
        ours = [float(rates(jnp.int32(step))) for step in range(40)]
        theirs = [0.03 * learning_rate_factor(recipe, step) for step in range(40)]
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-16)


class TestTrees:
    @pytest.mark.parametrize("name", DATA_SETS)
    def test_batches_have_the_types_and_rows_of_the_recipe(self, name):
        (ours, recipe, data), _ = both(name)
        batch = ours.batches(recipe, data)(0, slice(None))
        assert {array.dtype.name for array in batch.values()} <= {"int32", "float32", "bool"}
        assert {len(array) for array in batch.values()} == {6}

    def test_the_state_is_carried_past_the_end_of_the_text(self):
        (ours, recipe, data), _ = both("char_lm")
        batches = ours.batches(recipe, data)
        fresh = [bool(batches(step, slice(None))["fresh"].all()) for step in range(STEPS)]
        assert 3 <= sum(fresh) <= STEPS // 4


def apart(name):
    return np.abs(torch_losses(name) - compared(name).loss["jax"]).max()


def clipped_with_a_little_more(parameters, largest):
    torch.nn.utils.clip_grad_norm_(parameters, largest)


FAULTS = [
    ("char_lm", "reference_torch.teaching.training.clip_gradient", clipped_with_a_little_more),
    ("names", "reference_torch.teaching.training.clip_gradient", lambda parameters, largest: None),
    ("char_lm", "reference_torch.char_lm.forget", lambda hidden, fresh: hidden),
    ("char_lm", "reference_torch.teaching.training.detached", lambda hidden: None),
    ("seq2seq", "reference_torch.teaching.training.learning_rate_factor", lambda recipe, step: 1.0),
    (
        "names_generate",
        "reference_torch.names_generate.inside",
        lambda batch: torch.ones_like(batch["labels"], dtype=torch.bool),
    ),
]


class TestFaults:
    @cases(("name", "where", "fault"), FAULTS, short=1)
    def test_a_fault_parts_the_losses(self, name, where, fault, monkeypatch):
        assert apart(name) <= TOLERANCE
        monkeypatch.setattr(where, fault)
        assert apart(name) > 100 * TOLERANCE

    @pytest.mark.long
    def test_a_fault_in_jax_parts_them_too(self, plant):
        plant(
            lesson_module,
            "optimizer",
            lambda recipe: optax.adamw(learning_rates(recipe), weight_decay=0.03),
        )
        result = compare("names", seed=3, steps=12, dtype="float64", recipe=RECIPES["names"])
        assert result.max_abs_loss_difference > 100 * TOLERANCE
        assert result.rungs[-1].passed  # of the models, which have nothing wrong


class TestFiles:
    def test_json_is_complete(self, tmp_path):
        result = compared("names")
        write_json(tmp_path / "one.json", [result])
        data = json.loads((tmp_path / "one.json").read_text())
        assert data == json.loads(json.dumps(asdict(result)))
        assert (data["lesson"], data["dtype"], data["seed"]) == ("names", "float64", 3)
        assert data["steps"] == len(data["loss"]["jax"]) == len(data["loss"]["torch"]) == STEPS
        assert data["recipe"]["hidden_size"] == 7
        assert min(data["seconds"]["jax"]["compile"], data["seconds"]["torch"]["run"]) > 0
        environment = data["environment"]
        assert (environment["torch"], environment["jax"]) == (version("torch"), jax.__version__)
        assert environment["matmul precision"] == "highest"  # no TF32 between the two
