"""Runs in separate processes, killed and interrupted; ``python -m tools.kill`` repeats it."""

import random
import shlex
import shutil
import signal
import subprocess
import sys
import time

import pytest

from jax_rnn.app import cli
from jax_rnn.train import Checkpoints
from tests.kit import environment
from tools.kill import Bench, Lost, attack, compare


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    return Bench(folder, environment(XDG_CACHE_HOME=str(folder / "cache")))


def test_a_run_killed_once_ends_as_if_it_had_not_been(tmp_path):
    """A kill that comes too late, after the end of the run, is repeated."""
    text = tmp_path / "text.txt"
    text.write_text("if you want to build a ship do not drum up men. " * 40)
    sizes = "--steps 40 --evaluate-every 5 --batch-size 4 --hidden-size 5 --window 9 --warmup 4"
    words = ["train", "char_lm", "--text", str(text), *sizes.split(), "--dropout", "0.2", "--out"]
    standard, out = tmp_path / "standard", tmp_path / "killed"
    cli.main([*words, str(standard)])
    for _ in range(4):
        process = subprocess.Popen([sys.executable, "-m", "jax_rnn", *words, str(out)])
        while process.poll() is None and not Checkpoints(out / "checkpoints").steps():
            time.sleep(0.005)
        process.kill()
        if process.wait() == -signal.SIGKILL:
            break
        shutil.rmtree(out)
    assert process.returncode == -signal.SIGKILL
    assert Checkpoints(out / "checkpoints").latest() < 40
    cli.main(["train", "--resume", str(out)])
    compare(out, standard)


@pytest.mark.long
def test_a_run_killed_three_times_ends_as_if_it_had_not_been(bench):
    """On a busy machine a kill can come too late; then another run is killed."""
    moments, rng, kills = ["training", "writing", "any"], random.Random(0), []
    for attempt in range(8):
        kills += attack(bench, f"killed-{attempt}", moments, rng)
        if {moment for moment, _ in kills} == set(moments) and any(half for _, half in kills):
            break
    assert {moment for moment, _ in kills} == set(moments)
    assert any(half for _, half in kills), "a checkpoint was to be half written"


@pytest.mark.long
def test_a_run_is_refused_to_a_second_process_and_interrupted_says_how_it_goes_on(bench):
    out = bench.folder / "a run"
    process = bench.start(out, resume=False)
    bench.wait_for_training(process, out)
    process.send_signal(signal.SIGSTOP)
    with pytest.raises(Lost, match=r"exit code 2.*another process is writing into this one"):
        bench.finish(out, resume=True)
    process.send_signal(signal.SIGCONT)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate()
    assert process.returncode == 130, errors
    assert "again to stop at once" in errors
    _, _, command = errors.strip().splitlines()[-1].partition("; to resume: python -m jax_rnn ")
    words = [*bench.program, *shlex.split(command)]
    again = subprocess.run(words, env=bench.environment, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    compare(out, bench.standard)
