"""The two frameworks from the same weights: every lesson, every variant, epoch by epoch.

The harness is not taken at its word: differences are computed anew from the numbers it reports, the
numbers themselves come a second time from plain loops written here, and faults put into the library
on purpose have to show.
"""

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from runpy import run_path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

torch = pytest.importorskip("torch")

import reference_torch  # noqa: E402
from jax_rnn import load_torch_state_dict  # noqa: E402
from jax_rnn.cells.gru import GRUCell  # noqa: E402
from jax_rnn.lecture.compare import jax_lesson  # noqa: E402
from jax_rnn.lecture.compare.comparison import write_json  # noqa: E402
from jax_rnn.lecture.compare.parity import compare  # noqa: E402
from jax_rnn.lecture.lessons import LESSONS, WORDS, UnknownLessonError, load  # noqa: E402
from jax_rnn.lecture.teaching import lesson as lesson_module  # noqa: E402
from tests.kit import cases, refusals  # noqa: E402

EXAMPLES = Path(__file__).parents[2] / "examples"
SIDES = ("jax", "torch")
TRAINED = [name for name in WORDS if load(name).trained]
SHAPES = {  # of the slides: input, output and hidden; the last for both h and c
    "cell": ((1, 1, 4), (1, 1, 2), (1, 1, 2)),
    "unfold": ((1, 5, 4), (1, 5, 2), (1, 1, 2)),
    "batch": ((3, 5, 4), (3, 5, 2), (1, 3, 2)),
}
LONG = ("long_sentence", "long_sentence_windows")
RUNS = [(name, None, 0) for name in TRAINED]
RUNS += [(name, None, seed) for seed in range(1, 5) for name in TRAINED if name not in LONG]
RUNS += [
    (name, variant, seed) for name in TRAINED for variant in load(name).variants for seed in (0, 1)
]

WORDS_OF_PLAIN = "hihell", "ihello"

compared = cache(compare)


def gap(result, epochs=None):
    """The largest difference of the losses over the first epochs, from the losses themselves."""
    ours, theirs = (np.array(result.loss[side][:epochs]) for side in SIDES)
    assert ours.shape == theirs.shape
    assert ours.size > 0
    return np.abs(ours - theirs).max()


def difference(result, kind):
    """The difference that the harness reports."""
    return getattr(result, f"max_abs_{kind}_difference")


def tolerance(name):
    """Float64, Adam on top.

    The short lessons stay within 1e-12: the largest over 200 seeds of ihello is 1.4e-13. The
    sentence amplifies a rounding error over more steps in time and more epochs, hence 1e-9.
    """
    return 1e-9 if name in LONG else 1e-12


class TestFloat64:
    @cases(("name", "variant", "seed"), RUNS, short=len(TRAINED))
    def test_in_float64_both_frameworks_train_alike(self, name, variant, seed):
        result = compared(name, variant, seed=seed, dtype="float64")
        lesson = load(name)
        assert gap(result) <= tolerance(name)
        assert result.predictions["jax"] == result.predictions["torch"]
        assert difference(result, "gradient") <= 1e-12
        assert max(result.max_abs_value_difference.values()) <= 1e-12
        assert difference(result, "weight") <= 1e3 * tolerance(name)
        # the reported differences are those of the reported numbers
        assert result.max_abs_loss_difference == gap(result)
        assert result.predictions_equal == result.steps == lesson.recipe.steps
        assert len(result.loss["jax"]) == len(result.predictions["jax"]) == lesson.recipe.steps
        assert {len(text) for text in result.predictions["jax"]} == {len(lesson.facts.target or "")}
        assert result.loss["jax"][-1] < result.loss["jax"][0]

    @pytest.mark.parametrize("name", SHAPES)
    @cases("seed", range(3), short=1)
    def test_lessons_without_training_give_equal_outputs_and_states(self, name, seed):
        result = compared(name, seed=seed, dtype="float64")
        given, output, hidden = SHAPES[name]
        for side in SIDES:
            assert result.shapes["input"][side] == [given]
            assert result.shapes["output"][side] == [output]
            assert result.shapes["hidden"][side] == [hidden, hidden]
        assert max(result.max_abs_value_difference.values()) <= 1e-12
        assert result.max_abs_loss_difference is None
        assert result.loss == result.predictions == {"jax": [], "torch": []}


class TestFloat32:
    @cases(
        ("name", "seed"),
        [("ihello", seed) for seed in range(5)]
        + [(name, 2) for name in TRAINED if name != "ihello"],
        short=0,
    )
    def test_in_float32_both_frameworks_train_alike(self, name, seed):
        """One rounding error is 6e-8, and Adam divides by gradients that shrink: over 100 epochs
        the median seed of ihello parts by 2.9e-6 and one in a hundred by 3e-3. So held are the
        initial weights, the first ten epochs and the strings. A sum over six positions has six
        times the rounding errors. The windows' string has letters that nobody can know, where two
        answers are all but tied: there letters are counted, not strings of 179."""
        scale = 6 if name == "ihello_stepwise" else 1
        result = compared(name, seed=seed, dtype="float32")
        assert result.dtype == "float32"
        assert result.max_abs_value_difference["output"] <= 1e-6
        assert difference(result, "gradient") <= 1e-6 * scale
        assert gap(result, epochs=10) <= 1e-4 * scale
        equal = np.equal(result.predictions["jax"], result.predictions["torch"])
        if name == "long_sentence_windows":
            ours, theirs = (np.array([*map(list, result.predictions[side])]) for side in SIDES)
            assert (ours == theirs).mean() >= 0.98
        else:
            assert equal.mean() >= 0.95
        assert result.predictions_equal == equal.sum()
        assert all(loss == np.float32(loss) for side in SIDES for loss in result.loss[side])


class Plain:
    """The lecture's data, torch's initial weights, and the loop in JAX written out."""

    def __init__(self, seed):
        torch.manual_seed(seed)
        state = torch.nn.RNN(5, 5).double().state_dict()
        self.weights = {k: jnp.asarray(v.numpy()) for k, v in state.items()}
        self.x, self.labels = (jnp.array(["hielo".index(c) for c in s]) for s in WORDS_OF_PLAIN)

    def loss(self, p):
        h, total = jnp.zeros(5), 0.0
        for x_t, label in zip(jnp.eye(5)[self.x], self.labels, strict=True):
            affine = p["weight_ih_l0"] @ x_t + p["bias_ih_l0"]
            h = jnp.tanh(affine + p["weight_hh_l0"] @ h + p["bias_hh_l0"])
            total -= jax.nn.log_softmax(h)[label]
        return total / 6

    def losses(self):
        optimizer, p = optax.adam(0.1), self.weights
        state, evaluate = optimizer.init(p), jax.jit(jax.value_and_grad(self.loss))
        for _ in range(100):
            value, gradients = evaluate(p)
            updates, state = optimizer.update(gradients, state)
            p = optax.apply_updates(p, updates)
            yield float(value)


class TestPlainLoops:
    @pytest.mark.long
    def test_json_holds_what_a_plain_loop_gives(self, tmp_path, x64):
        """That of torch is examples/ihello_torch.py, below."""
        results = [compared("ihello", seed=seed, dtype="float64") for seed in (2, 3)]
        write_json(tmp_path / "two.json", results)
        for data in json.loads((tmp_path / "two.json").read_text()):
            plain = list(Plain(data["seed"]).losses())
            assert data["loss"]["jax"] == pytest.approx(plain, abs=1e-12)
            assert data["loss"]["torch"] == pytest.approx(plain, abs=1e-12)

    def test_json_of_several_runs_is_a_list(self, tmp_path):
        results = [compared("ihello", seed=seed, dtype="float64") for seed in (0, 1)]
        write_json(tmp_path / "two.json", results)
        assert [run["seed"] for run in json.loads((tmp_path / "two.json").read_text())] == [0, 1]
        first, second = results
        assert abs(first.loss["jax"][0] - second.loss["jax"][0]) > 1e-3, "seeds differ"

    @pytest.mark.parametrize(("name", "steps"), [("softmax", 100), ("seq2seq", 3)])
    def test_every_step_is_reported_once_and_in_order(self, name, steps, little_data):
        pairs = []
        result = compare(name, seed=1, steps=steps, dtype="float64", on_step=pairs.append)
        assert [pair.step for pair in pairs] == list(range(1, steps + 1))
        kinds = (("loss", "loss"), ("predictions", "prediction"))
        for kind, of_pair in kinds if name == "softmax" else kinds[:1]:
            reported = zip(*(getattr(pair, of_pair) for pair in pairs), strict=True)
            assert dict(zip(SIDES, map(list, reported), strict=True)) == getattr(result, kind)

    @pytest.mark.long
    def test_a_comparison_can_be_repeated(self):
        again = compare("ihello", seed=3, dtype="float64")
        assert again.loss == compared("ihello", seed=3, dtype="float64").loss

    @cases("seed", [2, 0], short=1)
    def test_the_examples_train_as_the_lesson(self, seed, x64):
        files = (EXAMPLES / f"{name}.py" for name in ("ihello", "ihello_torch"))
        ours, theirs = (run_path(str(file)) for file in files)
        torch.manual_seed(seed)
        module, model = theirs["Model"]().double(), ours["Model"](nnx.Rngs(0))
        theirs["batch"]["inputs"] = theirs["batch"]["inputs"].double()
        load_torch_state_dict(model, {k: v.numpy().copy() for k, v in module.state_dict().items()})
        result = compared("ihello", None, seed=seed, dtype="float64")
        for side, example, trained in zip(SIDES, (ours, theirs), (model, module), strict=True):
            values, predictions = zip(*example["train"](trained), strict=True)
            np.testing.assert_allclose(values, result.loss[side], rtol=0, atol=1e-12)
            texts = ["".join("hielo"[k] for k in ids[0]) for ids in predictions]
            assert texts == result.predictions[side]


def without_reset(update):
    return lambda cell, gates, carry: update(cell, gates._replace(r=1.0), carry)


def summed(load):
    def faulty(name):
        lesson = load(name)

        def loss(model, batch):
            value, metrics = lesson.loss(model, batch)
            return value * batch["labels"].size, metrics

        return replace(lesson, loss=loss)

    return faulty


def reported_after_the_step(fit):
    def faulty(*arguments, **options):
        history = fit(*arguments, **options)
        return history._replace(loss=np.append(history.loss[1:], history.loss[-1]))

    return faulty


def read_backwards(load):
    def faulty(name):
        facts = replace(load(name).facts, reading=lambda ids: ids[0][::-1])
        return replace(load(name), facts=facts)

    return faulty


def with_adam(*arguments, **options):
    return lambda optimizer: lambda recipe: optax.adam(*arguments, **options)


FAULTS = [  # faults of cells: see tests/testing/test_ladder.py and tests/layers/test_fuzz.py
    ("output", "rnn_linear", "gru", GRUCell, "update", without_reset),
    ("gradient", "ihello", None, jax_lesson, "load", summed),
    ("loss", "ihello", None, lesson_module, "optimizer", with_adam(0.09)),
    ("loss", "ihello", None, lesson_module, "optimizer", with_adam(0.1, eps=1e-7)),
    ("loss", "ihello", None, lesson_module, "fit", reported_after_the_step),
    ("strings", "ihello", None, jax_lesson, "load", read_backwards),
]


class TestFaults:
    @cases(("rung", "name", "variant", "owner", "method", "fault"), FAULTS, short=0)
    def test_a_fault_shows_on_the_rung_where_it_was_made(
        self, rung, name, variant, owner, method, fault, plant
    ):
        plant(owner, method, fault(getattr(owner, method)))
        result = compare(name, variant, seed=2, dtype="float64")
        climbed = {
            "output": result.max_abs_value_difference["output"] <= 1e-12,
            "gradient": difference(result, "gradient") <= 1e-12,
            "loss": difference(result, "loss") <= tolerance(name),
            "strings": result.predictions_equal == result.steps,
        }
        assert next((name for name, passed in climbed.items() if not passed), None) == rung

    @cases("name", ["ihello", "seq2seq"], short=1)
    def test_a_comparison_from_another_seed_compiles_nothing(self, name, little_data, compilations):
        compare(name, seed=1, steps=7)
        assert compilations
        compilations.clear()
        compare(name, seed=2, steps=7)
        assert not compilations


OTHERS = [
    (lambda: compare("ihelo"), UnknownLessonError, "did you mean 'ihello'"),
    (
        lambda: compare("ihello", "elman"),
        ValueError,
        "preset: expected one of default, lstm, gru, got",
    ),
    (
        lambda: compare("names", dtype="float16"),
        ValueError,
        "dtype: expected float32 or float64, got 'float16'",
    ),
    (lambda: compare("names", steps=0), ValueError, "steps: expected at least 1, got 0"),
    (
        lambda: compare("names", text="book.txt"),
        ValueError,
        "text: expected none, since names has its own data, got book.txt",
    ),
]
test_compare_says_what_it_cannot_do = refusals(OTHERS)


class TestTrees:
    @pytest.mark.parametrize("name", LESSONS)
    def test_both_trees_state_the_same_facts_and_hyperparameters(self, name):
        ours, theirs = load(name), reference_torch.load(name)
        assert ours.facts is theirs.facts and ours.name == name
        assert ours.recipe == theirs.recipe and ours.recipes == theirs.recipes
