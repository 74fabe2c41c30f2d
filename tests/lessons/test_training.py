"""From a recipe to a run folder and back: what is refused before the folder is created."""

import json
import math
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import export

from jax_rnn import GRU
from jax_rnn.base.memory import available_memory, check_memory
from jax_rnn.base.meshes import make_mesh
from jax_rnn.interop.stablehlo import save_stablehlo
from jax_rnn.lecture.lessons import load
from jax_rnn.lecture.teaching.training import open_run, train_lesson
from jax_rnn.train import RunError
from rnn_lecture.recipe import Recipe, WordRecipe
from rnn_lecture.sampling import Sampling
from tests.kit import cases, refused

RECIPE = Recipe(hidden_size=4, embedding_size=4, batch_size=4, window=5, steps=2)
VOCABULARIES = {
    "char_lm": {"symbols": "abc"},
    "names": {"symbols": "abc", "languages": ["x", "y"], "longest": 5},
    "names_generate": {"symbols": "abc", "languages": ["x", "y"], "longest": 5},
    "seq2seq": {"source_symbols": "ab", "target_symbols": "-01"},
    "seq2seq_attention": {"source_symbols": "ab", "target_symbols": "-01"},
}


@pytest.fixture
def make(tmp_path):
    """The folder of a run of a lesson, as far as ``open_run`` reads it."""

    def folder(lesson, **changes):
        task, vocabulary = load(lesson), VOCABULARIES[lesson]
        kind = f"{task.model.__module__}:{task.model.__qualname__}"
        own = {"vocabulary": vocabulary, "text_sha256": None, "init": "torch"}
        config = {
            "name": lesson,
            "hyperparameters": asdict(RECIPE),
            "model": {"class": kind, "options": task.options(RECIPE, vocabulary)},
            "own": own | {"arguments": {"inputs": ["int32", 2]}},
            "made": {"text": None},
        }
        (tmp_path / "config.json").write_text(json.dumps(config | changes))
        return tmp_path

    return folder


@cases("name", ["names", "ihello", *sorted(VOCABULARIES.keys() - {"names"})], short=2)
def test_a_second_training_compiles_nothing(name, little_data, compilations):
    """Not even for other first weights."""
    lesson = load(name)
    recipe = replace(RECIPE if lesson.holds_out else lesson.recipe, steps=7)
    train_lesson(lesson, recipe)
    assert compilations
    compilations.clear()
    train_lesson(lesson, replace(recipe, seed=4))
    assert not compilations


@pytest.mark.parametrize("name", VOCABULARIES)
def test_a_run_of_every_lesson_opens(name, make):
    opened = open_run(make(name))
    assert opened.lesson.name == name and opened.recipe == RECIPE
    assert opened.vocabulary == VOCABULARIES[name]


CRAFTED = [
    {"name": "seq2seq"},
    {"name": "../.."},
    {"name": "ihello"},
    *({"own": {"vocabulary": {"symbols": symbols}}} for symbols in (5, "ab")),
    {"own": {"vocabulary": {"symbols": "abc", "more": {}}}},
    {"own": {}},
    {"hyperparameters": asdict(replace(RECIPE, hidden_size=5))},
    {"hyperparameters": {"hidden_size": "x"}},
    {"hyperparameters": {"clip": -1}},
    {"model": None},
    {"model": {"class": "evil:Model", "options": {}}},
    {"made": {"text": 7}},
]


@pytest.mark.parametrize("change", CRAFTED, ids=str)
def test_a_crafted_run_is_refused_in_a_sentence(change, make):
    with pytest.raises(RunError, match=r"expected|damaged"):
        open_run(make("char_lm", **change))


@pytest.mark.parametrize("text", ["/dev/zero", "../..", "/no/such/file"])
def test_a_text_that_is_no_file_is_refused(text, make):
    opened = open_run(make("char_lm", made={"text": text}))
    with pytest.raises((OSError, ValueError), match=r"expected a (regular|text) file"):
        opened.data()


UNFIT = [
    ("seq2seq", RECIPE, {"mesh": "data=3"}, "multiple of 3, the number of devices, got 4"),
    ("seq2seq", RECIPE, {"text": Path("book.txt")}, "text: | seq2seq"),
    ("ihello", WordRecipe(), {"text": Path("book.txt")}, "text: | ihello"),
    ("ihello", WordRecipe(variant="elman"), {}, "'elman'"),
    ("cell", WordRecipe(), {}, "expected one that trains, got cell"),
]


@pytest.mark.parametrize(("name", "recipe", "options", "words"), UNFIT)
def test_nothing_is_created_before_all_is_checked(name, recipe, options, words, tmp_path):
    given = {key: make_mesh(value) if key == "mesh" else value for key, value in options.items()}
    run = tmp_path / "run"
    refused(ValueError, words, lambda: train_lesson(load(name), recipe, run, **given))
    assert list(tmp_path.iterdir()) == []


def test_a_lesson_on_a_word_keeps_its_run_and_resumes_it_exactly(tmp_path, close):
    lesson, run = load("ihello"), tmp_path / "run"
    recipe = lesson.preset("gru")
    whole = train_lesson(lesson, recipe).history
    train_lesson(lesson, replace(recipe, steps=40), run)
    trained = train_lesson(lesson, recipe, run, resume=True)
    model, rest = trained.model, trained.history
    np.testing.assert_array_equal(rest.loss, whole.loss[40:])
    assert next(lesson.steps(rest, 41)).startswith("epoch: 41, ")

    opened = open_run(run)
    best = opened.model()
    assert opened.recipe == recipe and opened.vocabulary == {"symbols": "hielo"}
    assert isinstance(best.rnn, GRU) and opened.arguments == {"inputs": ("float32", 3, 5)}
    figures = lesson.evaluate(best, opened.data())
    assert figures == lesson.evaluate(model, opened.data())
    save_stablehlo(best, tmp_path / "model", opened.arguments, ["cpu"])
    program = export.deserialize(bytearray((tmp_path / "model").read_bytes()))
    inputs = jnp.asarray(lesson.facts.inputs[:, :4])
    close(program.call(inputs)[0], best(inputs)[0], 1e-6)

    answer = "".join(lesson.respond(model, opened.vocabulary, "hihell", Sampling()))
    right = sum(a == b for a, b in zip(answer, "ihello", strict=True))
    assert figures["accuracy"] == pytest.approx(right / 6)
    words, wrong = (
        "expected only letters among 'hielo'",
        (model, opened.vocabulary, "xyz", Sampling()),
    )
    refused(ValueError, words, lambda: next(lesson.respond(*wrong)))
    last = lesson.facts.text(rest.metrics["prediction"][-1])
    assert figures["exact"] == (last == lesson.facts.target)

    none = train_lesson(lesson, recipe, run, resume=True).history
    assert not len(none.loss) and not list(lesson.steps(none, 101))


@pytest.mark.parametrize("name", ["ihello", "embedding"])
def test_a_lesson_on_a_word_trains_in_bfloat16(name):
    lesson = load(name)
    trained = train_lesson(lesson, replace(lesson.recipe, dtype="bfloat16", steps=20))
    model, history = trained.model, trained.history
    assert history.loss[-1] < history.loss[0] and history.loss.dtype == np.float32
    assert model.rnn.cells[0].weight_hh.dtype == np.float32


WRONG = [  # (name, values, words)
    ("learning_rate", (-1e-3, 0.0, math.nan, math.inf), "above 0"),
    ("clip", (0.0, -1.0), "above 0"),
    ("dropout", (1.5, -0.1), "from 0 to 1"),
    ("weight_decay", (-0.1,), "at least 0"),
    ("warmup", (-1, 1001), "0 to 1000, the number of steps"),
    ("seed", (-1,), "0 to 4294967295"),
    ("seed", (2**63,), "a larger number"),
    *((name, (0,), "at least 1") for name in ("steps", "accumulate", "patience", "evaluate_every")),
    ("num_layers", (10**9,), "at most 1,000"),
    ("hidden_size", (10**30,), "at most 2,147,483,647"),
    ("cell", ("cnn",), "one of rnn, lstm, gru"),
    ("schedule", ("",), "one of constant"),
]


@pytest.mark.parametrize(("name", "values", "words"), WRONG)
def test_a_value_out_of_range_is_refused(name, values, words):
    for value in values:
        said = refused(ValueError, words, partial(replace, Recipe(), **{name: value}))
        assert said.startswith(f"{name}: expected ") and len(said) < 200


@pytest.mark.parametrize(
    ("name", "value"), [("steps", 1.5), ("steps", True), ("dropout", "x"), ("clip", "x")]
)
def test_a_value_of_another_type_is_refused(name, value):
    recipe = object.__new__(Recipe)  # without the type checks of the tests
    vars(recipe).update({**vars(Recipe()), name: value})
    refused(TypeError, f"{name}: expected", recipe.__post_init__)


def test_a_model_that_needs_more_memory_than_there_is_is_refused_before_it_is_built():
    task = load("char_lm")

    def check(recipe):
        check_memory(lambda: task.build(recipe, {"symbols": "ab"}, rngs=nnx.Rngs(0)))

    words = "expected one that fits into | GB|at least 600,000,|30,000,0"
    refused(ValueError, words, lambda: check(replace(task.recipe, hidden_size=10**8)))
    check(task.recipe)
    assert (available_memory() or 0) > 1e8
