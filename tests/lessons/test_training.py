"""From a recipe to a run folder and back: what is refused before the folder is created."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from jax_rnn import GRU
from jax_rnn.base.meshes import make_mesh
from jax_rnn.interop.stablehlo import save_stablehlo
from jax_rnn.lecture.lessons import load
from jax_rnn.lecture.teaching.training import open_run, train_lesson
from jax_rnn.train import RunError
from rnn_lecture.recipe import Recipe, WordRecipe
from rnn_lecture.sampling import Sampling
from tests.kit import cases

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
        config = {
            "name": lesson,
            "hyperparameters": asdict(RECIPE),
            "model": {"class": kind, "options": task.options(RECIPE, vocabulary)},
            "own": {
                "vocabulary": vocabulary,
                "text_sha256": None,
                "init": "torch",
                "arguments": {"inputs": ["int32", 2]},
            },
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


@pytest.mark.parametrize(
    "change",
    [
        {"name": "seq2seq"},
        {"name": "../.."},
        {"name": "ihello"},
        {"own": {"vocabulary": {"symbols": 5}}},
        {"own": {"vocabulary": {"symbols": "ab"}}},
        {"own": {"vocabulary": {"symbols": "abc", "more": {}}}},
        {"own": {}},
        {"hyperparameters": asdict(replace(RECIPE, hidden_size=5))},
        {"hyperparameters": {"hidden_size": "x"}},
        {"hyperparameters": {"clip": -1}},
        {"model": None},
        {"model": {"class": "evil:Model", "options": {}}},
        {"made": {"text": 7}},
    ],
    ids=str,
)
def test_a_crafted_run_is_refused_in_a_sentence(change, make):
    with pytest.raises(RunError, match=r"expected|damaged"):
        open_run(make("char_lm", **change))


@pytest.mark.parametrize("text", ["/dev/zero", "../..", "/no/such/file"])
def test_a_text_that_is_no_file_is_refused(text, make):
    opened = open_run(make("char_lm", made={"text": text}))
    with pytest.raises((OSError, ValueError), match=r"expected a (regular|text) file"):
        opened.data()


@pytest.mark.parametrize(
    ("name", "recipe", "options", "names"),
    [
        ("seq2seq", RECIPE, {"mesh": "data=3"}, "multiple of the 3 devices, got 4"),
        ("seq2seq", RECIPE, {"text": Path("book.txt")}, "^text: .* seq2seq"),
        ("ihello", WordRecipe(), {"text": Path("book.txt")}, "^text: .* ihello"),
        ("ihello", WordRecipe(variant="elman"), {}, "'elman'"),
        ("cell", WordRecipe(), {}, "a lesson that trains, got cell"),
    ],
)
def test_nothing_is_created_before_all_is_checked(name, recipe, options, names, tmp_path):
    given = {key: make_mesh(value) if key == "mesh" else value for key, value in options.items()}
    with pytest.raises(ValueError, match=names):
        train_lesson(load(name), recipe, tmp_path / "run", **given)
    assert list(tmp_path.iterdir()) == []


def test_a_lesson_on_a_word_keeps_its_run_and_resumes_it_exactly(tmp_path):
    lesson = load("ihello")
    recipe = lesson.preset("gru")
    whole = train_lesson(lesson, recipe).history
    train_lesson(lesson, replace(recipe, steps=40), tmp_path / "run")
    trained = train_lesson(lesson, recipe, tmp_path / "run", resume=True)
    model, rest = trained.model, trained.history
    np.testing.assert_array_equal(rest.loss, whole.loss[40:])
    assert next(lesson.steps(rest, 41)).startswith("epoch: 41, ")

    opened = open_run(tmp_path / "run")
    assert opened.recipe == recipe and opened.vocabulary == {"symbols": "hielo"}
    assert isinstance(opened.model().rnn, GRU)
    figures = lesson.evaluate(opened.model(), opened.data())
    assert figures == lesson.evaluate(model, opened.data())
    assert opened.arguments == {"inputs": ("float32", 3, 5)}
    save_stablehlo(opened.model(), tmp_path / "model", opened.arguments, ["cpu"])
    program = export.deserialize(bytearray((tmp_path / "model").read_bytes()))
    logits, _ = program.call(jnp.asarray(lesson.facts.inputs[:, :4]))
    np.testing.assert_allclose(
        logits, opened.model()(jnp.asarray(lesson.facts.inputs[:, :4]))[0], atol=1e-6
    )

    answer = "".join(lesson.respond(model, opened.vocabulary, "hihell", Sampling()))
    right = sum(a == b for a, b in zip(answer, "ihello", strict=True))
    assert figures["accuracy"] == pytest.approx(right / 6)
    with pytest.raises(ValueError, match="expected only letters of 'hielo'"):
        next(lesson.respond(model, opened.vocabulary, "xyz", Sampling()))
    last = lesson.facts.text(rest.metrics["prediction"][-1])
    assert figures["exact"] == (last == lesson.facts.target)

    none = train_lesson(lesson, recipe, tmp_path / "run", resume=True).history
    assert not len(none.loss) and not list(lesson.steps(none, 101))


@pytest.mark.parametrize("name", ["ihello", "embedding"])
def test_a_lesson_on_a_word_trains_in_bfloat16(name):
    lesson = load(name)
    trained = train_lesson(lesson, replace(lesson.recipe, dtype="bfloat16", steps=20))
    model, history = trained.model, trained.history
    assert history.loss[-1] < history.loss[0] and history.loss.dtype == np.float32
    assert model.rnn.cells[0].weight_hh.dtype == np.float32
