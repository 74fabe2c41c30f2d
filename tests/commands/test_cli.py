"""The command line: what it prints, what it writes, and what it says when something is wrong."""

import json
import math
import os
import re
import subprocess
import sys
from types import SimpleNamespace
from unittest.mock import Mock

import jax
import numpy as np
import pytest

from jax_rnn.base.extras import how_to_install
from jax_rnn.lecture.lessons import DATA_SETS, WORDS, load
from tests.kit import cases
from tools.fuzz_cli import main

WIDE = os.environ | {"COLUMNS": "200"}


def flowing(text):
    """The text with single spaces, so that a wrapped sentence is found."""
    return " ".join(text.split())


def process(*arguments):
    done = subprocess.run(arguments, env=WIDE, capture_output=True, text=True, check=False)
    return SimpleNamespace(code=done.returncode, out=done.stdout, err=done.stderr)


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """Names of files that cannot be written."""
    folder = tmp_path_factory.mktemp("outputs")
    wrong = {"missing": folder / "nowhere" / "x.png", "folder": folder, "device": "/dev/null"}
    wrong |= {"fifo": folder / "fifo.png", "link": folder / "link.png", "brackets": "[/foo]"}
    os.mkfifo(wrong["fifo"])
    wrong["link"].symlink_to(folder / "other.png")
    return wrong


OUTPUTS = [
    ("compare ihello", "--json --html --plot"),
    ("sweep ihello", "--json --plot"),
    ("bench", "--json"),
    ("eval RUN", "--json"),
    ("inspect RUN", "--html"),
    ("export RUN --to torch", "--file"),
]
WORK = [f"lecture.compare.{name}" for name in ("parity.compare", "sweep.sweep_jax")]
WORK += ["lecture.compare.sweep.sweep_torch", "lecture.teaching.training.open_run"]
WORK.append("bench.race.race")


class TestRefusals:
    @cases(
        ("words", "code", "named"),
        [
            ("compare softmax --plot curves.foo", 2, "--plot: expected"),
            ("sweep softmax --plot curves.foo", 2, "--plot: expected"),
            (
                "bench --shape 3,5",
                2,
                "--shape: expected four sizes above 0, as 32,35,200,200, got '3,5'",
            ),
            ("bench --layers 0", 2, "--layers: expected 1 to 1,000, got 0"),
            ("bench --layers 100000000", 2, "--layers: expected 1 to 1,000, got 100,000,000"),
            ("bench --seconds 0", 2, "--seconds: expected more than 0, got 0"),
            ("trian", 2, "'trian'; did you mean 'train'?"),
            ("train ihelo", 2, "did you mean 'ihello'?"),
            ("train", 2, "expected the name of a lesson"),
            ("train ihello --out", 2, "--out: "),
            ("train ihello --variant elman", 2, "lstm, gru"),
            ("train ihello --batch-size 3", 2, "'--batch-size'"),
            ("train char_lm --batch-size 0", 2, "--batch-size: "),
            ("train char_lm --steps 9 --warmup 10", 2, "--warmup: "),
            ("train ihello --preset elman", 2, "preset: "),
            ("train ihello --text x", 2, "text: "),
            ("train ihello --mesh x", 2, "mesh: "),
            ("train names --process 1", 2, "coordinator"),
            ("train cell --out x", 2, "--out: "),
            ("train ihello --device tpu", 1, "--device: "),
            ("sweep ihello --device tpu", 1, "--device: "),
            ("sweep ihello --seeds 0", 2, "--seeds: "),
            ("sweep cell", 2, "`jax-rnn train cell`"),
            ("compare", 2, "--all"),
            ("compare ihello --all", 2, "--all"),
            ("compare ihelo", 2, "did you mean 'ihello'?"),
            ("compare ihello --seeds 0", 2, "--seeds: "),
            ("compare ihello --seed 4294967295 --seeds 2", 2, "--seed: "),
            ("compare batch --plot x.png", 2, "--plot: "),
            ("sample RUN --temperature nan", 2, "--temperature: "),
            ("sample RUN --top-k 0", 2, "--top-k: "),
            ("sample RUN --top-k 2147483648", 2, "--top-k: "),
            ("sample RUN --length 0", 2, "--length: "),
            ("eval no/run", 2, "RUN: "),
            ("export no/run --to torch", 2, "RUN: "),
            ("export RUN", 2, "--to"),
            ("export RUN --to torch --platforms cpu", 2, "--platforms: "),
        ],
        short=18,
    )
    def test_what_cannot_be_done_is_one_message_and_a_code(self, words, code, named, run):
        result = run(*words.split())
        assert (result.code, result.out) == (code, "")
        assert result.err.startswith("error: ") and named in flowing(result.err)
        assert "Traceback" not in result.err

    @cases("kind", ["fifo", "device", "link", "missing", "folder", "brackets"], short=1)
    @pytest.mark.parametrize(
        ("words", "option"), [(words, option) for words, all in OUTPUTS for option in all.split()]
    )
    def test_a_file_that_cannot_be_written_is_refused_before_the_work(
        self, words, option, kind, outputs, run, monkeypatch, tmp_path
    ):
        for place in WORK:
            monkeypatch.setattr(f"jax_rnn.{place}", lambda *_, **__: pytest.fail("it began"))
        (tmp_path / "config.json").write_text("{}")
        result = run(*words.replace("RUN", str(tmp_path)).split(), option, outputs[kind])
        assert result.code == 2
        assert result.err.startswith(f"error: {option}: expected ")
        assert str(outputs[kind]) in result.err


PRINTED = [
    ("doctor", rf"^  jax +{re.escape(jax.__version__)}$.*^  cpu +{len(jax.devices())} x cpu$"),
    ("train batch", r"^input size \(3, 5, 4\)\nout \[\[\[.*^out size \(3, 5, 2\)\nthree words"),
    ("train ihello", r"^epoch: 1, .*^epoch: 100, loss: \d\.\d{3}\nPredicted string: [hielo]{6}$"),
    ("train ihello --variant gru", r"^epoch: 1, .*Learning finished!\n\Z"),
    (
        "compare batch",
        r"output shape +\(3, 5, 2\) +\(3, 5, 2\)\n.*before training +output \S+e-0[89]",
    ),
    ("compare softmax --seed 4 --seeds 2", r"^softmax +4 .*^softmax +5 .* (9\d|100) of 100"),
]


class TestOutput:
    def test_lessons_are_all_listed(self, run):
        result = run("lessons")
        assert result.code == 0
        rows = {line.split()[0] for line in result.out.splitlines() if line and line[0] != " "}
        assert rows == {"lesson", *WORDS, *DATA_SETS}
        assert "scale1" in result.out

    @cases(("words", "pattern"), PRINTED, short=2)
    def test_a_command_prints(self, words, pattern, run):
        result = run(*words.split())
        assert result.code == 0 and re.search(pattern, result.out, re.M | re.S)

    @pytest.mark.long
    def test_train_takes_its_options(self, run):
        """Softmax from other initial values starts elsewhere; from the same ones it does not."""
        plain, same, seed, init = (
            run("train", "softmax", *words.split()).out.splitlines()[:10]
            for words in ("", "--seed 2 --device cpu", "--seed 3", "--init flax")
        )
        assert plain == same and len({str(lines) for lines in (plain, seed, init)}) == 3

    def test_train_computes_in_the_precision_asked_for(self, run, monkeypatch):
        seen, place = [], "jax_rnn.lecture.teaching.words.WordLesson.report"
        note = lambda _, model, *more: seen.append(model.linear.kernel.dtype.name) or ()  # noqa: E731
        monkeypatch.setattr(place, note)
        for dtype in ("float64", "float32"):
            assert run("train", "softmax", "--dtype", dtype).code == 0
        assert seen == ["float64", "float32"]

    def test_compare_writes_what_it_shows(self, run, tmp_path):
        pytest.importorskip("torch")
        pytest.importorskip("matplotlib")
        pytest.importorskip("jinja2")
        data, page, plot = (tmp_path / f"ihello.{kind}" for kind in ("json", "html", "png"))
        options = ("--dtype", "float64", "--json", data, "--html", page, "--plot", plot)
        result = run("compare", "ihello", *options)
        assert result.code == 0
        assert all(f"written: {path}\n" in result.out for path in (data, page, plot))
        assert "epoch  loss JAX" in result.out and "JAX predicts  PyTorch predicts" in result.out
        saved = json.loads(data.read_text())
        assert (saved["lesson"], saved["seed"], saved["dtype"]) == ("ihello", 2, "float64")
        assert saved["max_abs_loss_difference"] < 1e-12
        assert f"loss {saved['max_abs_loss_difference']:.1e}" in flowing(result.out)
        assert "strings equal at 100 of 100 epochs; after the last, both match" in flowing(
            result.out
        )
        rows = re.findall(
            r"^ +(\d+) +(\d\.\d{6}) +(\d\.\d{6}) +\S+ +(\w+) +(\w+)", result.out, re.M
        )
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
    def test_sweep_of_both_frameworks_writes_what_it_shows(self, run, tmp_path):
        pytest.importorskip("torch")
        pytest.importorskip("matplotlib")
        data, plot = tmp_path / "rates.json", tmp_path / "rates.svg"
        options = ("--seeds", 20, "--framework", "both", "--json", data, "--plot", plot)
        result = run("sweep", "ihello", *options)
        assert result.code == 0
        assert "ihello, 20 seeds, 100 epochs, initial weights as in torch.nn" in flowing(result.out)
        sweeps = json.loads(data.read_text())
        assert [sweep["framework"] for sweep in sweeps] == ["jax", "torch"]
        for kind, words in {
            "ever": "correct at some epoch",
            "at_end": "correct at epoch 100",
        }.items():
            shown = " ".join(f"{s[kind]} of 20 ({s[kind] / 20:.0%})" for s in sweeps)
            assert f"{words} {shown}" in flowing(result.out)
        assert all(len(sweep["first_epoch"]) == 20 for sweep in sweeps)
        assert "<svg" in plot.read_text()

    def test_a_sweep_says_what_it_does_before_it_begins(self, run, monkeypatch):
        stop = Mock(side_effect=OSError("stop"))
        monkeypatch.setattr("jax_rnn.lecture.compare.sweep.sweep_jax", stop)
        result = run("sweep", "ihello", "--seeds", 3, "--init", "flax")
        assert result.code == 1 and "ihello, 3 seeds, 100 epochs" in result.out

    @pytest.mark.long
    def test_sweep_of_one_framework_takes_its_options(self, run, tmp_path):
        path = tmp_path / "gru.json"
        options = ("--preset", "gru", "--init", "flax", "--seeds", 5, "--seeds-per-call", 2)
        result = run("sweep", "ihello", *options, "--json", path, "--device", "cpu")
        assert result.code == 0
        saved = json.loads(path.read_text())
        assert (saved["framework"], saved["preset"], saved["init"]) == ("jax", "gru", "flax")
        assert (saved["seeds"], saved["steps"]) == (5, load("ihello").recipe.steps)

    @cases("framework", ["jax", "torch"], short=1)
    def test_sweep_takes_a_text_and_a_dtype(self, framework, run, tmp_path):
        pytest.importorskip("torch")
        text, path = tmp_path / "text.txt", tmp_path / "text.json"
        text.write_text("ab" * 3000)
        options = ("--seeds", 1, "--steps", 1, "--framework", framework)
        result = run(
            "sweep", "char_lm", *options, "--text", text, "--dtype", "float64", "--json", path
        )
        assert result.code == 0
        (loss,) = json.loads(path.read_text())["final_loss"]
        assert abs(loss - math.log(2)) < 0.2  # two symbols
        assert loss != float(np.float32(loss))


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


class TestProcesses:
    @pytest.mark.long
    def test_both_ways_to_start_are_the_same(self):
        script = os.path.join(os.path.dirname(sys.executable), "jax-rnn")
        if not os.path.exists(script):
            pytest.skip("needs the package installed, with its script")
        ours, theirs = (
            process(script, "lessons"),
            process(sys.executable, "-m", "jax_rnn", "lessons"),
        )
        assert ours.code == theirs.code == 0
        assert ours.out == theirs.out
        assert all(load(name).teaches[:20] in ours.out for name in WORDS)

    @pytest.mark.long
    def test_without_torch_what_needs_it_says_how_to_install_it_and_the_rest_works(self):
        result = process(sys.executable, "-c", WITHOUT_TORCH)
        message = (
            f"error: expected torch to be installed, but it is not; use {how_to_install('torch')}"
        )
        said = [message, "compare ihello 1", message, "sweep ihello --seeds 2 --framework torch 1"]
        said += ["train cell 0", "doctor 0"]
        assert [line for line in result.err.splitlines() if line] == said

    @pytest.mark.long
    def test_it_draws_calls_and_writes_a_summary(self, tmp_path, capsys):
        path = tmp_path / "summary.json"
        assert main(["--draws", "6", "--first", "3", "--json", str(path)]) == 0
        assert "6 draws: 6 ok" in capsys.readouterr().out
        summary = json.loads(path.read_text())
        assert summary == {"draws": 6, "first": 3, "outcomes": {"ok": 6}, "faults": []}
