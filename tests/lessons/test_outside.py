"""A lesson from outside: one file in each tree and one with the facts, and every command works."""

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")

import jax_rnn.lecture.lessons
import reference_torch
import rnn_lecture
from jax_rnn.app import cli
from reference_torch import __main__ as program
from rnn_lecture.lessons import LESSONS
from tests.kit import cases

FILES = Path(__file__).parent / "outside"
COMMANDS = [
    "compare recall --dtype float64 --json {folder}/one.json",
    "train recall --out {folder}/run --mesh data=1",
    "compare recall --preset rnn --seeds 2 --html {folder}/two.html --plot {folder}/two.png",
    "sweep recall --seeds 2 --steps 4 --framework both --json {folder}/sweep.json",
    "train --resume {folder}/run --steps 12",
    "eval {folder}/run",
    "sample {folder}/run --prompt abcca",
    "export {folder}/run --to safetensors",
    "lessons",
]


@pytest.fixture(scope="module")
def recall():
    """The three files are in their places while the tests of this file run."""
    with pytest.MonkeyPatch.context() as patch:
        for package, place in (
            (rnn_lecture, "facts"),
            (jax_rnn.lecture.lessons, "ours"),
            (reference_torch, "theirs"),
        ):
            patch.setattr(package, "__path__", [*package.__path__, str(FILES / place)])
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory, recall):
    """A folder with a run of the lesson."""
    made = tmp_path_factory.mktemp("recall")
    cli.main(["train", "recall", "--out", str(made / "run")])
    return made


@cases("command", COMMANDS, short=1)
def test_every_command_takes_it(command, folder, request, capsys):
    words = command.format(folder=folder).split()
    if words[0] == "train" and "--out" in words:
        words[words.index("--out") + 1] += "2"
    cli.main(words)
    assert capsys.readouterr().out


def test_it_is_listed_after_those_of_the_lecture_in_both_trees(recall, capsys):
    for tree in (jax_rnn.lecture.lessons, reference_torch):
        assert tree.lesson_names() == (*LESSONS, "recall")
        assert tree.load("recall").name == "recall"
    assert program.main([]) == 0
    assert "\n  recall " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "got"),
    [("", "None"), ("from jax_rnn.lecture.lessons.ihello import lesson", "'ihello'")],
)
def test_a_file_that_defines_no_lesson_of_its_name_is_reported(
    text, got, tmp_path, monkeypatch, capsys
):
    name = f"unfinished{len(text)}"
    (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.setattr(
        jax_rnn.lecture.lessons, "__path__", [*jax_rnn.lecture.lessons.__path__, str(tmp_path)]
    )
    with pytest.raises(SystemExit) as left:
        cli.main(["train", name])
    assert left.value.code == 2
    said = " ".join(capsys.readouterr().err.split())
    assert f"expected `lesson`, whose name is '{name}', got {got}" in said


def test_both_programs_are_the_same(recall, tmp_path):
    path = tmp_path / "one.json"
    cli.main(f"compare recall --dtype float64 --json {path}".split())
    found = json.loads(path.read_text())
    assert found["steps"] == 8
    assert found["max_abs_loss_difference"] < 1e-12
    assert found["max_abs_figure_difference"] < 1e-12
    assert found["rungs"][-1]["name"] == "5 steps of Adam"


def test_torch_runs_it_alone(recall, capsys):
    assert program.main(["recall", "--steps", "2"]) == 0
    assert "held out: loss" in capsys.readouterr().out


def test_programs_with_other_parameters_are_reported(recall, monkeypatch, capsys):
    from reference_torch.recall import Model

    right = Model.__init__

    def other(self, **options):
        right(self, **options)
        self.last = self.linear
        del self.linear

    monkeypatch.setattr(Model, "__init__", other)
    with pytest.raises(SystemExit) as left:
        cli.main(["compare", "recall"])
    assert left.value.code == 1
    assert "parameter names: missing in JAX: last.bias" in " ".join(capsys.readouterr().err.split())
