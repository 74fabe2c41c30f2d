"""``jax-rnn train --resume RUN``: which run is meant, and which options hold."""

import json
import re
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from jax_rnn.app import cli
from jax_rnn.app import train as command
from jax_rnn.app.folder import guide_to, new_folder, read_begun
from jax_rnn.lecture.lessons import load
from jax_rnn.train import RunError
from rnn_lecture.recipe import Recipe
from tests.kit import refused

RECIPE = Recipe(hidden_size=8, steps=20)


CONFIG = {
    "name": "char_lm",
    "hyperparameters": asdict(RECIPE),
    "own": {"init": "flax"},
    "made": {"text": "book.txt", "options": {"mesh": "data=2", "tensorboard": True}},
}


@pytest.fixture
def begun(tmp_path):
    """``begun(...)``: the folder of a run with changed entries of its configuration."""
    folder = tmp_path / "a [run]"

    def make(**changes):
        folder.mkdir(exist_ok=True)
        (folder / "config.json").write_text(json.dumps(CONFIG | changes))
        return folder

    return make


@pytest.fixture
def nothing(tmp_path, monkeypatch):
    """The working folder, which is empty before and after the test."""
    monkeypatch.chdir(tmp_path)
    yield
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def asked(monkeypatch):
    """What the command line would train."""
    found = []
    monkeypatch.setattr(command, "_train", found.append)
    return found


WORDS = ["char_lm --out=", "--resume=", "--resume", "--out x --resume y"]
WORDS += ["names --steps 0", "names --accumulate 0", "names --out run --batch-size 4 --mesh data=3"]


@pytest.mark.parametrize("words", [*map(str.split, WORDS), ["--out", ""]], ids=str)
def test_nothing_is_created_before_all_is_checked(words, run, nothing):
    result = run("train", *words)
    assert result.code == 2
    assert re.match(r"error: .*(--out|--resume|folder|steps|accumulate|devices)", result.err)


FORMS = [["--resume", "{}"], ["--resume={}"], ["--out", "{}", "--resume"]]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("lesson", [[], ["char_lm"]])
def test_no_option_is_needed_again(form, lesson, begun, asked):
    cli.main(["train", *lesson, *(word.format(begun()) for word in form)])
    (found,) = asked
    assert found.lesson.name == "char_lm" and found.recipe == RECIPE and found.out == begun()
    assert (found.init, str(found.text), found.mesh) == ("flax", "book.txt", "data=2")
    assert found.tensorboard and found.resume


def test_an_option_may_still_be_given_and_a_preset_replaces_all(begun, asked):
    cli.main(["train", "--resume", str(begun()), "--steps", "30", "--mesh", "data=1"])
    cli.main(["train", "--resume", str(begun()), "--preset", "quick"])
    assert asked[0].recipe.steps == 30 and asked[0].mesh == "data=1"
    assert asked[1].recipe == load("char_lm").recipes["quick"]


def test_the_warm_up_of_a_preset_is_at_most_as_long_as_a_new_run(run, asked):
    usual = load("char_lm").recipe.warmup
    for steps in (usual + 1, usual - 1):
        cli.main(["train", "char_lm", "--steps", str(steps)])
    assert [found.recipe.warmup for found in asked] == [usual, usual - 1]
    assert "--warmup: expected" in run(*["train", "char_lm", "--steps", "20", "--warmup", "30"]).err


def test_another_lesson_is_named(begun):
    refused(RunError, "'char_lm' of this run, got 'names'", lambda: read_begun(begun(), "names"))


DAMAGED = [
    {"hyperparameters": {"steps": -1}},
    {"hyperparameters": {"x": 1}},
    {"made": {}},
    {"made": {"text": 5}},
    {"made": {"text": None, "options": [1]}},
    {"made": {"text": None, "options": {"mesh": 5}}},
    {"made": {"text": None, "options": {"device": "abacus"}}},
    {"own": {"init": []}},
    {"own": {}},
]


@pytest.mark.parametrize("change", DAMAGED, ids=str)
def test_a_damaged_run_is_refused(change, begun):
    refused(RunError, "", lambda: read_begun(begun(**change), ""))


def test_a_folder_without_a_run_is_refused_unless_a_lesson_starts_one(tmp_path, asked, run):
    assert run("train", "--resume", tmp_path / "none").code == 2
    assert run("train", "char_lm", "--resume", tmp_path / "none").code == 0
    assert asked[0].resume and asked[0].recipe == load("char_lm").recipe


def test_a_mesh_of_the_run_is_explained_where_there_are_fewer_devices(begun, run, little_data):
    result = run("train", "--resume", begun(made={"text": None, "options": {"mesh": "data=99"}}))
    assert result.code == 2 and "--mesh data=99" in result.err and "--mesh: " not in result.err


def test_a_guide_names_commands_that_work_again(monkeypatch, tmp_path):
    def resume(program, *words, several=False):
        monkeypatch.setattr(sys, "argv", [program, *words])
        return guide_to(Path("runs/a b"), several=several).resume

    expected = "jax-rnn train '--resume=runs/a b'"
    assert resume("/bin/jax-rnn", "train", "char_lm", "--steps", "9") == expected
    named = ("train", "char_lm", "--out", "runs/a b", "--resume")
    assert resume("/bin/jax-rnn", *named) == expected
    assert resume("/x/jax_rnn/__main__.py", *named).startswith("python -m jax_rnn train '--res")
    several = resume("/bin/jax-rnn", *named, "--coordinator", "host:1", several=True)
    assert several.endswith("train char_lm --out 'runs/a b' --coordinator host:1 --resume")
    use = guide_to(Path("-x"), several=False).use
    assert "jax-rnn eval ./-x\n" in use and "open_run('-x')" in use and "--resume=-x" in use


def test_the_readme_of_a_lesson_has_its_commands(tmp_path):
    folder = tmp_path / "run"
    cli.main(["train", "ihello", "--steps", "1", "--out", str(folder)])
    text = (folder / "README.md").read_text()
    assert f"    jax-rnn sample {folder} --prompt ...\n" in text
    assert f" train --resume={folder}\n" in text and "| steps | 1 |" in text


def test_a_new_folder_never_is_an_old_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first = new_folder("x")
    first.mkdir(parents=True)
    second = new_folder("x")
    assert second != first and not second.exists()
