"""Expected errors are one message and an exit code; Ctrl-C ends a command without a traceback."""

import os
import signal
import subprocess
import sys
import time
from unittest.mock import Mock

import numpy as np
import pytest
from safetensors.numpy import load_file

from jax_rnn.app.failures import UsageError, explain, was_interrupted
from jax_rnn.base.devices import DeviceError
from jax_rnn.base.errors import ArgumentError, ArgumentTypeError
from jax_rnn.lecture.lessons import UnknownLessonError
from jax_rnn.train import CheckpointError, InterruptedRunError, NonFiniteLossError, RunError
from jax_rnn.train.results import DivergedError, History
from tests.kit import environment

OPTIONS = {"steps": "--steps", "top_k": "--top-k", "run": "RUN"}
NOTHING = History(np.zeros(0), {}, 0.0, 0.0)


NAN = NonFiniteLossError(3, float("nan"), NOTHING, "kept")
DIVERGED = DivergedError(3, OverflowError())
ERRORS = [
    (UsageError("expected this"), 2, "expected this"),
    (ArgumentError("top_k", "expected 1"), 2, "--top-k: expected 1"),
    (ArgumentTypeError("steps", "expected 1"), 2, "--steps: expected 1"),
    (ArgumentError("folder", "expected a run"), 2, "RUN: expected a run"),
    (ArgumentError("size", "expected 1"), 2, "size: expected 1"),
    (DeviceError("expected one of cpu (1), got tpu", "steps"), 1, "--steps: expected one of"),
    (DeviceError("JAX cannot start"), 1, "JAX cannot start"),
    (ValueError("steps: expected 1"), 2, "steps: expected 1"),
    (RunError("steps: expected a run"), 2, "steps: expected a run"),
    (CheckpointError("it is damaged"), 1, "it is damaged"),
    (UnknownLessonError("which?"), 2, "which?"),
    (UnicodeDecodeError("utf-8", b"x", 0, 1, "not UTF-8"), 2, "'utf-8' codec"),
    (OverflowError("too large"), 2, "too large"),
    (NAN, 1, "the loss at step 3 is nan"),
    (DIVERGED, 1, "the evaluation after step 3 failed"),
    (ModuleNotFoundError("no torch"), 1, "no torch"),
    (PermissionError(13, "Permission denied", "x"), 1, "[Errno 13] Permission denied"),
    (MemoryError(), 1, "not enough memory"),
]


@pytest.mark.parametrize(("error", "code", "start"), ERRORS, ids=[row[-1] for row in ERRORS])
def test_expected_errors_have_a_message_and_a_code(error, code, start):
    message, found = explain(error, OPTIONS)
    assert found == code and message.startswith(start) and "\n" not in message
    if error in (NAN, DIVERGED):  # the advice is for the command line
        assert "--learning-rate" in message and "--clip" in message and "optax" not in message


def test_any_other_error_is_a_fault_of_the_library():
    for error in (KeyError("x"), TypeError("x"), AssertionError("x")):
        assert explain(error) is None


def test_a_run_that_is_stopped_says_where_it_is_saved(run, monkeypatch, tmp_path):
    stop = Mock(side_effect=InterruptedRunError(3, "runs/x", "fit again"))
    monkeypatch.setattr("jax_rnn.lecture.teaching.training.train_lesson", stop)
    result = run("train", "char_lm", "--out", tmp_path)
    assert result.code == 130
    assert "stopped after step 3; the run is saved in runs/x; to resume: fit again" in result.err


def test_an_interrupt_is_seen_behind_the_error_that_it_caused():
    try:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            raise ImportError("half imported") from None
    except ImportError as error:
        assert was_interrupted(error)
    assert not was_interrupted(ImportError("absent"))


INTERRUPTED = """
import sys

class Interrupts:
    def find_spec(self, name, path=None, target=None):
        if name == "argparse":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupts())
sys.argv = ["jax-rnn", "lessons"]
from jax_rnn.__main__ import main
main()
"""


def test_ctrl_c_while_modules_are_imported_leaves_no_traceback():
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


DROPPED = """
import gc, signal, sys, time
from jax_rnn import __main__
from jax_rnn.app import cli

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored

def work():
    gc.callbacks.append(lambda *_: gc.callbacks.clear() or signal.raise_signal(signal.SIGINT))
    gc.collect()
    time.sleep(60)

cli.main = work
__main__.main()
"""


def test_an_interrupt_in_a_callback_of_the_garbage_collector_is_not_dropped():
    done = subprocess.run([sys.executable, "-c", DROPPED], capture_output=True, timeout=50)
    assert (done.returncode, done.stderr) == (130, b"")


@pytest.mark.long
@pytest.mark.parametrize("pause", [0.0, 0.1, 0.3, 0.6, 1.0])
def test_a_second_ctrl_c_leaves_complete_files(pause, tmp_path):
    """At any time, also while the process ends, when threads of XLA still run."""
    text, folder = tmp_path / "text.txt", tmp_path / "run"
    text.write_text("to be or not to be, that is the question. " * 400)
    words = f"-m jax_rnn train char_lm --text {text} --out {folder} --steps 1000000"
    words += " --evaluate-every 20 --hidden-size 32 --batch-size 8 --window 16"
    process = subprocess.Popen(
        [sys.executable, *words.split()],
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (folder / "metrics.jsonl").exists() or not (folder / "metrics.jsonl").stat().st_size:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    time.sleep(pause)
    if process.poll() is None:
        os.kill(process.pid, signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130, said
    assert "Traceback" not in said and "Fatal" not in said
    assert not list(folder.rglob("*.partial"))
    for path in folder.rglob("*.safetensors"):
        load_file(path)
