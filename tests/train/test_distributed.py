"""Two processes on one machine train together, are killed and resume; JAX connects them by gloo."""

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import pytest

from jax_rnn import GRU
from jax_rnn.app import cli
from jax_rnn.base.sealed import read
from jax_rnn.lecture.lessons.char_lm import lesson
from jax_rnn.lecture.teaching.training import open_run, precision, train_lesson
from jax_rnn.train import make_mesh
from jax_rnn.train.mesh import Layout
from rnn_lecture.recipe import Recipe
from rnn_lecture.sampling import Sampling
from tests.kit import environment, refused
from tests.train.kit import kept

pytestmark = pytest.mark.long

GUIDE = (Path(__file__).parents[2] / "docs" / "how_to" / "many_devices.md").read_text()

PATIENCE = 600
"""Seconds in which processes that do not end by themselves are ended, on a machine that is busy."""

SIZES = {"embedding_size": 3, "hidden_size": 5, "num_layers": 2, "batch_size": 8, "window": 7}
RECIPE = Recipe(cell="gru", dropout=0.3, steps=16, learning_rate=0.01, evaluate_every=8, **SIZES)
IN_FLOAT64 = replace(RECIPE, dtype="float64", steps=24, accumulate=2)

WATCHED = """
import os, sys
from jax_rnn.app.cli import main
from jax_rnn.base import processes
from jax_rnn.data.text import TextBatches

def note(event, arguments):
    if event == "open" and isinstance(arguments[0], str) and arguments[2] & os.O_ACCMODE:
        print("writes", arguments[0], file=sys.stderr, flush=True)

def read(batches, step, rows, before=TextBatches.__call__):
    print("rows", step, rows.start, rows.stop, file=sys.stderr)
    return before(batches, step, rows)

processes.LOST_AFTER = 10
TextBatches.__call__ = read
sys.addaudithook(note)
main()
"""
"""``jax-rnn`` that prints which rows it reads and which files it writes, with a short timeout."""


class Pair:
    """Two processes that run the same command, each with ``devices`` of its own."""

    def __init__(self, run: Path, text: Path, recipe: Recipe, *more: str, devices: int):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
        self.logs = [run.with_name(f"{run.name}-{k}-{time.monotonic_ns()}") for k in range(2)]
        self.processes = []
        env = environment(devices, XDG_CACHE_HOME=str(text.parent / "cache"))
        words = ["train", "char_lm", "--out", str(run), "--text", str(text), *arguments(recipe)]
        words += ["--mesh", f"data={2 * devices}", "--coordinator", address, "--processes", "2"]
        for k, log in enumerate(self.logs):
            given = [sys.executable, "-c", WATCHED, *words, "--process", str(k), *more]
            with log.with_suffix(".out").open("w") as out, log.with_suffix(".err").open("w") as err:
                self.processes.append(subprocess.Popen(given, env=env, stdout=out, stderr=err))

    def wait(self) -> list[SimpleNamespace]:
        """The exit code, the output and the errors of each."""
        end = time.monotonic() + PATIENCE
        try:
            codes = [process.wait(end - time.monotonic()) for process in self.processes]
        finally:
            for process in self.processes:
                process.kill()
        read = ((log.with_suffix(s).read_text() for s in (".out", ".err")) for log in self.logs)
        return [
            SimpleNamespace(code=code, output=output, errors=errors)
            for code, (output, errors) in zip(codes, read, strict=True)
        ]

    def finish(self) -> list[SimpleNamespace]:
        ended = self.wait()
        for process in ended:
            assert process.code == 0, process.errors[-3000:]
        return ended


def arguments(recipe: Recipe) -> list[str]:
    """All hyperparameters, whatever the lesson's own are."""
    given = {name: value for name, value in vars(recipe).items() if value is not None}
    return [word for k, v in given.items() for word in (f"--{k.replace('_', '-')}", str(v))]


def alone(run: Path, text: Path, recipe: Recipe, **more) -> list[dict]:
    """The same run in this process, on one device; its records."""
    with precision(recipe):
        train_lesson(lesson, recipe, run, text=text, **more)
    return records(run)


def records(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def agree(some: list[dict], others: list[dict], tolerance: float) -> None:
    """The same steps, with the same losses in training and on held-out text."""
    assert [row["step"] for row in some] == [row["step"] for row in others]
    for name in ("loss", "held_out_loss"):
        pairs = [(a[name], b[name]) for a, b in zip(some, others, strict=True) if name in a]
        np.testing.assert_allclose(*zip(*pairs, strict=True), rtol=0, atol=tolerance, err_msg=name)


def everything(run: Path) -> dict[str, np.ndarray]:
    """All arrays of the last checkpoint: parameters, optimizer, carried state, step."""
    saved = kept(run)
    return read(saved.path(saved.latest() or 0))


def rows_read(errors: str) -> set[tuple[int, int]]:
    """By training; before it, one row is looked at for the shapes of a batch."""
    read = [tuple(map(int, found)) for found in re.findall(r"rows (\d+) (\d+) (\d+)", errors)]
    assert read[0] == (0, 0, 1)
    return {(first, last) for _, first, last in read[1:]}


def written(errors: str, run: Path) -> set[str]:
    """Files of the run that Python opened to write, other than checkpoints."""
    paths = map(Path, re.findall(r"^writes (.*)$", errors, re.M))
    names = {path.name for path in paths if path.parent == run}
    return {re.sub(r"\.[0-9a-f]{8}\.partial$", ".partial", name) for name in names}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("distributed")


@pytest.fixture(scope="module")
def text(folder):
    path = folder / "text.txt"
    words = np.random.default_rng(0).choice(["ba", "du", "li", "mo", "\n"], 1500)
    path.write_text(" ".join(words))
    return path


@pytest.fixture(scope="module")
def one(folder, text):
    """One process, one device, float32."""
    run = folder / "one"
    alone(run, text, RECIPE)
    return run


@pytest.fixture(scope="module")
def four(folder, text):
    """Two processes of two devices, float64."""
    run = folder / "four"
    return run, Pair(run, text, IN_FLOAT64, devices=2).finish()


def test_four_devices_of_two_processes_give_the_losses_of_one_in_float64(four, folder, text):
    agree(records(four[0]), alone(folder / "one64", text, IN_FLOAT64), 1e-12)
    for name, array in everything(folder / "one64").items():
        np.testing.assert_allclose(everything(four[0])[name], array, rtol=0, atol=1e-12)


def test_each_process_reads_its_own_rows_and_only_the_main_one_writes_and_prints(four):
    run, (main, other) = four
    assert not list((run / "checkpoints").glob("*.partial"))
    assert rows_read(main.errors) == {(0, 4)}
    assert rows_read(other.errors) == {(4, 8)}
    assert {".config.json.partial", "metrics.jsonl", ".lock"} <= written(main.errors, run)
    assert not written(other.errors, run)
    assert "written: " in main.output
    printed = {line for line in main.output.splitlines() if line and "peer ranks" not in line}
    assert printed and not printed & {*other.output.splitlines()}


def test_when_one_is_killed_the_other_ends_and_both_go_on_bit_for_bit(four, folder, text):
    run = folder / "killed"
    pair = Pair(run, text, IN_FLOAT64, devices=2)
    end = time.monotonic() + PATIENCE
    while not kept(run).path(8).exists() and time.monotonic() < end:
        time.sleep(0.01)
    pair.processes[1].send_signal(signal.SIGKILL)
    main, other = pair.wait()
    assert other.code == -signal.SIGKILL and main.code != 0
    if main.code != -signal.SIGABRT:  # otherwise JAX detected it first and ended the process
        assert "process 0 cannot continue with the others: " in main.errors
        assert "start all of them again with --resume" in main.errors
    stopped = kept(run).latest()
    assert stopped is not None and 8 <= stopped < IN_FLOAT64.steps

    Pair(run, text, IN_FLOAT64, "--resume", devices=2).finish()
    np.testing.assert_equal(everything(run), everything(four[0]))
    agree(records(run), records(four[0]), 0)


def test_a_folder_in_use_is_refused_by_both(four, text):
    run, _ = four
    before = everything(run)
    for process in Pair(run, text, IN_FLOAT64, devices=1).wait():
        assert process.code in (1, 2)
        assert "expected a new folder, got one with a run" in process.errors
        assert "Traceback" not in process.errors
    np.testing.assert_equal(everything(run), before)


def test_what_two_processes_saved_one_loads_samples_and_goes_on_with(one, folder, text):
    run = folder / "two-then-one"
    Pair(run, text, replace(RECIPE, steps=8), devices=1).finish()
    agree(records(run), records(one)[: len(records(run))], 1e-5)
    trained = open_run(run)
    model = open_run(run).model("last")
    assert len("".join(lesson.respond(model, trained.vocabulary, "ba", Sampling(length=5)))) == 5
    copy = shutil.copytree(run, folder / "two-then-mesh")
    agree(alone(run, text, RECIPE, resume=True), records(one), 1e-5)
    agree(alone(copy, text, RECIPE, resume=True, mesh=make_mesh("data=1")), records(one), 1e-5)


def test_what_one_process_saved_two_go_on_with(one, folder, text):
    run = folder / "one-then-two"
    alone(run, text, replace(RECIPE, steps=8))
    Pair(run, text, RECIPE, "--resume", devices=1).finish()
    agree(records(run), records(one), 1e-5)


def test_several_processes_require_a_mesh_of_all_devices(monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    words = "mesh: expected data=8, since 2 processes have 8 devices"
    assert refused(ValueError, words, lambda: make_mesh(None)).startswith("mesh: ")
    words = "expected exactly 8, the number of devices that JAX has, got 4"
    refused(ValueError, words, lambda: make_mesh("data=4"))


@pytest.mark.parametrize(("process", "rows"), [(0, slice(0, 8)), (1, slice(8, 12))])
def test_rows_go_to_processes_as_devices_do(monkeypatch, process, rows):
    devices = np.array([SimpleNamespace(process_index=k) for k in (0, 0, 1)])
    monkeypatch.setattr(jax, "process_index", lambda: process)
    mesh: Any = SimpleNamespace(devices=devices, size=3)
    assert Layout(mesh).rows(12) == rows


def test_the_programs_in_the_guide_run():
    programs = re.findall(r"```python\n(.*?)```", GUIDE, re.S)
    assert len(programs) == 3
    names: dict[str, Any] = {}
    for program in programs:
        exec(program, names)
    assert isinstance(names["model"], GRU)


def test_the_guide_names_only_options_that_there_are(capsys):
    with pytest.raises(SystemExit):
        cli.main(["train", "char_lm", "--help"])
    known = set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
    commands = re.findall(r"jax-rnn train (?:char_lm|--resume)(?:[^\n]|(?<=\\)\n)*", GUIDE)
    assert len(commands) >= 8
    for command in commands:
        assert set(re.findall(r"--[a-z-]+", command)) <= known, command
