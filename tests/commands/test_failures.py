"""Expected errors are one message and an exit code; a mistyped command gets a suggestion."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import jax_rnn
import rnn_lecture
from jax_rnn.app.cli import COMMANDS, main
from jax_rnn.app.failures import FOR_COMMANDS, explain, for_commands, was_interrupted
from jax_rnn.base.devices import DeviceError
from jax_rnn.base.processes import ClusterError
from jax_rnn.lecture.lessons import UnknownLessonError
from jax_rnn.train import History, NonFiniteLossError, RunError

PACKAGES = (Path(jax_rnn.__file__).parent, Path(rnn_lecture.__file__).parent)
FILES = [path for package in PACKAGES for path in package.rglob("*.py")]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UnknownLessonError("which?"), 2),
        (ValueError("expected this, got that"), 2),
        (UnicodeDecodeError("utf-8", b"x", 0, 1, "not UTF-8"), 2),
        (OverflowError("too large"), 2),
        (DeviceError("no device"), 1),
        (NonFiniteLossError(3, float("nan"), History(np.zeros(0), {}, 0.0, 0.0), "kept"), 1),
        (ModuleNotFoundError("no torch"), 1),
        (PermissionError(13, "Permission denied", "x"), 1),
        (MemoryError(), 1),
    ],
)
def test_expected_errors_have_a_message_and_a_code(error, code):
    message, found = explain(error)
    assert found == code
    assert message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("steps: expected 1"), "--steps: expected 1"),
        (ValueError("seeds_per_call: expected 1"), "--seeds-per-call: expected 1"),
        (ValueError("size: expected 1"), "size: expected 1"),
        (ClusterError("steps: expected 1"), "--steps: expected 1"),
        (RunError("steps: expected a run"), "steps: expected a run"),
        (OSError("steps: no space"), "steps: no space"),
        (OSError("use resume=True"), "use --resume"),
        (ValueError("got no steps=, size= (resume=True)"), "got no --steps, size= (--resume)"),
        (ValueError("runs/steps=/resume=True: steps=3"), "runs/steps=/resume=True: steps=3"),
        (RunError("another `folder`, create it with `Run`"), "another --out, create it with "),
        (ValueError("use `cell.forward`"), "use `jax-rnn train cell`"),
        (ValueError("use `model.other`"), "use `model.other`"),
    ],
)
def test_a_message_names_options_and_commands(error, message):
    explained = explain(error, {"steps", "seeds_per_call", "resume"})
    assert explained is not None and explained[0].startswith(message)


@pytest.mark.parametrize("name", FOR_COMMANDS)
def test_what_has_a_command_is_named_in_a_message(name):
    sources = [path.read_text("utf-8") for path in FILES if "commands" not in path.parts]
    named = re.compile(rf"(?<!`)`(\w+\.|{{self\.name}}\.)?{name}`(?!`)")
    assert any(named.search(text) for text in sources)


def test_lines_of_a_lesson_name_commands():
    assert for_commands("`ihello.sweep` shows it") == "`jax-rnn sweep ihello` shows it"


@pytest.mark.parametrize("error", [KeyError("x"), TypeError("x"), AssertionError("x")])
def test_any_other_error_is_a_fault_of_the_library(error):
    assert explain(error) is None


def test_an_interrupt_is_seen_behind_the_error_that_it_caused():
    try:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            raise ImportError("half imported") from None
    except ImportError as error:
        assert was_interrupted(error)
    assert not was_interrupted(ImportError("absent"))


@pytest.mark.parametrize(("typed", "meant"), [("trian", "train"), ("comprae", "compare")])
def test_a_mistyped_command_gets_a_suggestion(typed, meant, capsys):
    with pytest.raises(SystemExit) as left:
        main([typed, "ihello"])
    assert left.value.code == 2
    printed = capsys.readouterr().err
    assert f"did you mean {meant!r}?" in printed
    assert all(name in printed for name in COMMANDS)


INTERRUPTED = """
import sys

class Interrupts:
    def find_spec(self, name, path=None, target=None):
        if name == "tyro":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupts())
sys.argv = ["jax-rnn", "lessons"]
from jax_rnn.__main__ import main
main()
"""


def test_ctrl_c_while_modules_are_imported_leaves_no_traceback():
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_an_argument_that_would_fill_the_screen_is_refused(capsys):
    with pytest.raises(SystemExit) as left:
        main(["train", "ihello", "--seed", "9" * 5000])
    assert left.value.code == 2
    message = capsys.readouterr().err
    assert "--seed: expected at most 1,000 characters, got 5,000" in message
    assert len(message) < 200


@pytest.mark.parametrize("words", [["--seed", "\x1b[31m"], ["--seed=\x1b[31m"], ["x", "\x07"]])
def test_control_characters_are_refused_where_no_text_is_expected(words, capsys):
    with pytest.raises(SystemExit) as left:
        main(["train", "ihello", *words])
    assert left.value.code == 2
    message = capsys.readouterr().err
    assert "expected no control characters, got \\x" in message
    assert message.isprintable() or message.rstrip("\n").isprintable()
