"""The command line: what it prints, what it writes, and what it says when something is wrong."""

import json
import math
import os
import re
import subprocess
import sys
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from jax_rnn.app import cli
from jax_rnn.base.extras import how_to_install
from jax_rnn.lecture.lessons import DATA_SETS, WORDS, load
from tests.kit import cases

COMMANDS = ("lessons", "train", "compare", "sweep", "doctor")
WIDE = os.environ | {"COLUMNS": "200"}


@pytest.fixture
def run(capsys):
    """``run(*arguments)``: exit code, standard output and standard error of a command."""

    def call(*arguments):
        code = 0
        try:
            cli.main([str(argument) for argument in arguments])
        except SystemExit as left:
            code = left.code or 0
        return SimpleNamespace(code=code, **capsys.readouterr()._asdict())

    return call


@pytest.fixture
def too_late(monkeypatch):
    """Neither a comparison nor a sweep may begin."""

    def begin(*arguments, **options):
        pytest.fail("the run began")

    for name in ("parity.compare", "sweep.sweep_jax", "sweep.sweep_torch"):
        monkeypatch.setattr(f"jax_rnn.lecture.compare.{name}", begin)


def flowing(text):
    """The text without its line breaks and frames, so that a wrapped sentence is found."""
    return " ".join(re.sub("[│╭╮╰╯─]", " ", text).split())


def process(*arguments):
    done = subprocess.run(arguments, env=WIDE, capture_output=True, text=True, check=False)
    return SimpleNamespace(code=done.returncode, out=done.stdout, err=done.stderr)


# Help


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example_for_every_command(command, run):
    result = run(command, "--help")
    assert result.code == 0
    assert re.search(rf"^\$ jax-rnn {command}\b", result.out, re.M)


def test_help_lists_the_commands(run):
    result = run("--help")
    assert result.code == 0
    assert all(re.search(rf"\b{command}\b", result.out) for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_names_of_options_and_no_python(command, run):
    assert "{None}" not in run(command, "--help").out


# Wrong usage: 2; what cannot be done here: 1


@cases(
    ("arguments", "message"),
    [
        (("train", "ihelo"), "did you mean 'ihello'?"),
        (("compare", "ihelo"), "did you mean 'ihello'?"),
        (("sweep", "ihelo"), "did you mean 'ihello'?"),
        (("compare",), "expected names of lessons, or --all; `jax-rnn lessons` lists them"),
        (("compare", "ihello", "--all"), "expected names of lessons, or --all"),
        (("compare", "ihello", "--seeds", 0), "--seeds: expected at least 1, got 0"),
        (("compare", "ihello", "--preset", "elman"), "expected one of default, lstm, gru"),
        (
            ("compare", "ihello", "--seed", 2**32 - 1, "--seeds", 2),
            "--seed: expected a number from",
        ),
        (("sweep", "ihello", "--seeds", 0), "--seeds: expected at least 1, got 0"),
        (("sweep", "ihello", "--preset", "elman"), "expected one of default, lstm, gru"),
        (("sweep", "cell"), "got cell, which only shows shapes; use `jax-rnn train cell`"),
        (("train", "ihello", "--variant", "elman"), "expected one of: lstm, gru"),
        (("train", "ihello", "--preset", "elman"), "--preset: expected one of default, lstm"),
        (("train", "ihello", "--text", "x"), "--text: expected none, since ihello has its own"),
        (("train", "ihello", "--mesh", "x"), "--mesh: expected data=N, with N the number"),
        (("train", "names", "--process", 1), "expected --coordinator, --processes and --process"),
        (("eval", "no/run"), "create one with `jax-rnn train LESSON --out FOLDER`"),
    ],
    short=4,
)
def test_wrong_usage_exits_with_2_and_says_why(arguments, message, run):
    result = run(*arguments)
    assert result.code == 2
    assert message in flowing(result.err)
    assert "error:" in result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("train",),
        ("nonsense",),
        ("train", "ihello", "--seed", "x"),
        ("train", "ihello", "--epoch", 2),
    ],
)
def test_a_command_line_that_cannot_be_read_exits_with_2(arguments, run):
    result = run(*arguments)
    assert result.code == 2
    assert "--help" in result.err or "The commands are" in result.err
    assert result.out == ""


def test_an_unknown_preset_is_refused_before_anything_is_printed(run):
    assert run("compare", "ihello", "--preset", "elman").out == ""


@pytest.mark.parametrize("command", ["train", "sweep"])
def test_a_device_that_is_not_there_exits_with_1_and_says_which_are(command, run):
    result = run(command, "ihello", "--device", "tpu")
    assert result.code == 1
    assert result.out == ""
    message = f"expected a device of kind 'tpu', but JAX finds only: cpu ({len(jax.devices())})"
    assert message in flowing(result.err)


@pytest.mark.parametrize(
    ("command", "option"),
    [("compare", "--html")]
    + [(command, option) for command in ("compare", "sweep") for option in ("--json", "--plot")],
)
def test_a_missing_folder_is_reported_before_the_run(command, option, run, tmp_path, too_late):
    """A run may take an hour, so a path that cannot be written is refused before it."""
    result = run(command, "softmax", option, tmp_path / "nowhere" / "file.png")
    assert result.code in (1, 2)
    assert "nowhere" in result.err


@pytest.mark.parametrize("command", ["compare", "sweep"])
def test_a_figure_of_unknown_format_is_reported_before_the_run(command, run, tmp_path, too_late):
    result = run(command, "softmax", "--plot", tmp_path / "curves.foo")
    assert result.code == 2
    assert ".png" in result.err


# What the commands print and write


def test_lessons_are_all_listed(run):
    result = run("lessons")
    assert result.code == 0
    rows = {line.split()[0] for line in result.out.splitlines() if line and line[0] != " "}
    assert rows == {"lesson", *WORDS, *DATA_SETS}
    assert "scale1" in result.out


def test_doctor_names_versions_and_devices(run):
    result = run("doctor")
    assert result.code == 0
    assert re.search(rf"^  jax +{re.escape(jax.__version__)}$", result.out, re.M)
    assert re.search(rf"^  cpu +{len(jax.devices())} x cpu$", result.out, re.M)
    assert re.search(r"^  default float +float32$", result.out, re.M)


@pytest.mark.long
def test_train_prints_what_the_slide_prints(run):
    result = run("train", "ihello", "--seed", 2)
    assert result.code == 0
    epochs = re.findall(
        r"^epoch: (\d+), loss: (\d\.\d{3})\nPredicted string: ([hielo]{6})$", result.out, re.M
    )
    assert [int(epoch) for epoch, _, _ in epochs] == list(range(1, 101))
    assert float(epochs[-1][1]) < float(epochs[0][1])
    assert "Learning finished!" in result.out


@pytest.mark.long
def test_train_takes_its_options(run):
    """Softmax from other initial values starts elsewhere; from the same ones it does not."""

    def start(*options):
        return run("train", "softmax", *options).out.splitlines()[:10]

    assert start() == start("--seed", 2, "--device", "cpu")
    assert len({str(start(*options)) for options in ((), ("--seed", 3), ("--init", "flax"))}) == 3


def test_train_computes_in_the_precision_asked_for(run, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "jax_rnn.lecture.teaching.words.WordLesson.report",
        lambda lesson, model, *more: seen.append(model.linear.kernel.dtype.name) or (),
    )
    for dtype in ("float64", "float32"):
        assert run("train", "softmax", "--dtype", dtype).code == 0
    assert seen == ["float64", "float32"]


@pytest.mark.long
def test_train_of_a_variant_explains_nothing(run):
    result = run("train", "ihello", "--variant", "gru")
    assert result.code == 0
    assert result.out.endswith("Learning finished!\n")


def test_train_shows_a_forward_pass(run):
    result = run("train", "batch")
    assert result.out.startswith("input size (3, 5, 4)\nout [[[")
    assert "out size (3, 5, 2)\nthree words together or one by one: largest diff" in result.out


@pytest.mark.long
def test_compare_of_a_lesson_without_training_shows_shapes(run):
    pytest.importorskip("torch")
    result = run("compare", "batch")
    assert result.code == 0
    for part, shape in {"input": "3, 5, 4", "output": "3, 5, 2"}.items():
        assert re.search(rf"{part} shape +\({shape}\) +\({shape}\)", result.out)
    gap = re.search(r"before training output (\S+), hidden (\S+)", flowing(result.out))
    assert gap and max(map(float, gap.groups())) < 1e-6


def test_compare_writes_what_it_shows(run, tmp_path):
    pytest.importorskip("torch")
    pytest.importorskip("matplotlib")
    pytest.importorskip("jinja2")
    data, page, plot = (tmp_path / f"ihello.{kind}" for kind in ("json", "html", "png"))
    options = ("--dtype", "float64", "--json", data, "--html", page, "--plot", plot)
    result = run("compare", "ihello", *options)
    assert result.code == 0
    assert all(f"written: {path}\n" in result.out for path in (data, page, plot))
    saved = json.loads(data.read_text())
    assert (saved["lesson"], saved["seed"], saved["dtype"]) == ("ihello", 2, "float64")
    assert saved["max_abs_loss_difference"] < 1e-12
    assert f"loss {saved['max_abs_loss_difference']:.1e}" in flowing(result.out)
    assert "strings equal at 100 of 100 epochs; after the last, both match" in flowing(result.out)
    rows = re.findall(r"^ +(\d+) +(\d\.\d{6}) +(\d\.\d{6}) +\S+ +(\w+) +(\w+)", result.out, re.M)
    assert {1, 2, 10, 50, 100} <= {int(row[0]) for row in rows}
    for epoch, ours, theirs, *words in rows:
        k = int(epoch) - 1
        assert float(ours) == pytest.approx(saved["loss"]["jax"][k], abs=1e-6)
        assert float(theirs) == pytest.approx(saved["loss"]["torch"][k], abs=1e-6)
        assert words == [saved["predictions"][side][k] for side in ("jax", "torch")]
    assert page.read_text().lstrip().lower().startswith("<!doctype html")
    assert "ihello" in page.read_text()
    assert plot.read_bytes().startswith(b"\x89PNG")


@pytest.mark.long
def test_compare_of_several_seeds_is_a_table(run, tmp_path):
    pytest.importorskip("torch")
    path = tmp_path / "two.json"
    result = run("compare", "softmax", "--seed", 4, "--seeds", 2, "--json", path)
    assert result.code == 0
    assert [row["seed"] for row in json.loads(path.read_text())] == [4, 5]
    assert len(re.findall(r"^softmax +[45] .* (?:9\d|100) of 100", result.out, re.M)) == 2


@pytest.mark.long
def test_sweep_of_both_frameworks_writes_what_it_shows(run, tmp_path):
    pytest.importorskip("torch")
    pytest.importorskip("matplotlib")
    data, plot = tmp_path / "rates.json", tmp_path / "rates.svg"
    options = ("--seeds", 20, "--framework", "both", "--json", data, "--plot", plot)
    result = run("sweep", "ihello", *options)
    assert result.code == 0
    assert "ihello, 20 seeds, 100 epochs, torch initial values" in flowing(result.out)
    sweeps = json.loads(data.read_text())
    assert [sweep["framework"] for sweep in sweeps] == ["jax", "torch"]
    for kind, words in {"ever": "all letters correct, ever", "at_end": "at epoch 100"}.items():
        shown = " ".join(f"{s[kind]} of 20 ({s[kind] / 20:.0%})" for s in sweeps)
        assert f"{words} {shown}" in flowing(result.out)
    assert all(len(sweep["first_epoch"]) == 20 for sweep in sweeps)
    assert "<svg" in plot.read_text()


@pytest.mark.long
def test_sweep_of_one_framework_takes_its_options(run, tmp_path):
    path = tmp_path / "gru.json"
    options = ("--preset", "gru", "--init", "flax", "--seeds", 5, "--seeds-per-call", 2)
    result = run("sweep", "ihello", *options, "--json", path, "--device", "cpu")
    assert result.code == 0
    saved = json.loads(path.read_text())
    assert (saved["framework"], saved["preset"], saved["init"]) == ("jax", "gru", "flax")
    assert (saved["seeds"], saved["steps"]) == (5, load("ihello").recipe.steps)


@cases("framework", ["jax", "torch"], short=1)
def test_sweep_takes_a_text_and_a_dtype(framework, run, tmp_path):
    pytest.importorskip("torch")
    text, path = tmp_path / "text.txt", tmp_path / "text.json"
    text.write_text("ab" * 3000)
    options = ("--seeds", 1, "--steps", 1, "--framework", framework)
    result = run("sweep", "char_lm", *options, "--text", text, "--dtype", "float64", "--json", path)
    assert result.code == 0
    (loss,) = json.loads(path.read_text())["final_loss"]
    assert abs(loss - math.log(2)) < 0.2  # two symbols
    assert loss != float(np.float32(loss))


# In a process of its own


@pytest.mark.long
def test_both_ways_to_start_are_the_same():
    script = os.path.join(os.path.dirname(sys.executable), "jax-rnn")
    if not os.path.exists(script):
        pytest.skip("needs the package installed, with its script")
    ours, theirs = process(script, "lessons"), process(sys.executable, "-m", "jax_rnn", "lessons")
    assert ours.code == theirs.code == 0
    assert ours.out == theirs.out
    assert all(load(name).teaches[:20] in ours.out for name in WORDS)


WITHOUT_TORCH = """
import sys

class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")

sys.meta_path.insert(0, NoTorch())
from jax_rnn.app.cli import main

for line in ("compare ihello", "sweep ihello --seeds 2 --framework torch", "train cell", "doctor"):
    code = 0
    try:
        main(line.split())
    except SystemExit as left:
        code = left.code
    print(line, code, file=sys.stderr)
"""


@pytest.mark.long
def test_without_torch_what_needs_it_says_how_to_install_it_and_the_rest_works():
    result = process(sys.executable, "-c", WITHOUT_TORCH)
    lines = [line for line in result.err.splitlines() if line]
    message = f"error: expected torch to be installed, but it is not: {how_to_install('torch')}"
    assert lines == [
        message,
        "compare ihello 1",
        message,
        "sweep ihello --seeds 2 --framework torch 1",
        "train cell 0",
        "doctor 0",
    ]


@pytest.mark.long
def test_help_needs_neither_framework():
    code = "import sys; from jax_rnn.app import cli\n"
    code += "try: cli.main(['--help'])\nexcept SystemExit: pass\n"
    result = process(
        sys.executable, "-c", code + "print({'jax', 'torch', 'flax'} & {*sys.modules})"
    )
    assert result.out.endswith("set()\n")


@pytest.mark.long
def test_errors_go_to_standard_error_and_the_code_to_the_shell():
    result = process(sys.executable, "-m", "jax_rnn", "train", "ihelo")
    assert (result.code, result.out) == (2, "")
    assert "did you mean 'ihello'?" in result.err
