"""Check that a training that is killed again and again ends like an uninterrupted one.

``jax-rnn train char_lm`` runs on a small text to its end; this run is the standard. Then the same
command is started in other folders, killed with SIGKILL, started with ``--resume`` and killed
again, until it finishes. Its folder must equal the standard's bit for bit: parameters, optimizer,
carried state and step, the list of checkpoints, and all records except times.

A kill comes at a random moment: of the whole process, imports included; of its training; or as
soon as a checkpoint is being written.

    python -m tools.kill --times 50
    python -m tools.kill --times 50 --seed 3 --json summary.json
"""

import argparse
import csv
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from jax_rnn.base.sealed import read
from jax_rnn.train.checkpoints import Checkpoints

STEPS, EVERY = 160, 10
OPTIONS = {
    "steps": STEPS,
    "evaluate-every": EVERY,
    "hidden-size": 16,
    "embedding-size": 8,
    "num-layers": 2,
    "dropout": 0.2,
    "batch-size": 4,
    "window": 12,
    "accumulate": 2,
    "schedule": "cosine",
    "warmup": 20,
}
"""Every kind of state that a run has: dropout, carried state, accumulation, a schedule."""

MOMENTS = ("any", "training", "writing")
TIMES = {"seconds", "tokens_per_second"}
PATIENCE = 600.0
"""Seconds after which a process counts as hanging."""


class Lost(AssertionError):
    """A run that was killed did not end like the standard."""


@dataclass
class Summary:
    """The number of kills, and their outcome; a kill that came too late is not counted."""

    kills: Counter = field(default_factory=Counter)
    while_writing: int = 0
    runs: int = 0
    failures: list[str] = field(default_factory=list)
    minutes: float = 0.0

    @property
    def total(self) -> int:
        return sum(self.kills.values())


class Bench:
    """A folder to train in, with the text, a cache of compiled programs and the standard run."""

    program = (sys.executable, "-m", "jax_rnn")

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None):
        """``environment`` of the processes; None compiles as users do."""
        self.folder = folder
        self.text = folder / "text.txt"
        words = ("if", "you", "want", "to", "build", "a", "ship", "do", "not", "drum", "up")
        rng = random.Random(0)
        self.text.write_text(" ".join(rng.choice(words) for _ in range(3000)))
        self.environment = environment or os.environ | {
            "JAX_PLATFORMS": "cpu",
            "XLA_FLAGS": "",
            "JAX_COMPILATION_CACHE_DIR": str(folder / "programs"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "XDG_CACHE_HOME": str(folder / "cache"),
        }
        self.standard = folder / "standard"
        self.finish(self.standard, resume=False)  # compiles
        shutil.rmtree(self.standard)
        began = time.monotonic()
        process = self.start(self.standard, resume=False)
        self.startup = self._until(process, lambda: _begun(self.standard, 0)) - began
        _, errors = process.communicate(timeout=PATIENCE)
        self.training = time.monotonic() - began - self.startup
        if process.returncode:
            raise Lost(errors)

    def command(self, out: Path, resume: bool) -> list[str]:
        options = [word for name, value in OPTIONS.items() for word in (f"--{name}", str(value))]
        words = ["train", "char_lm", "--text", str(self.text), "--out", str(out), *options]
        return [*self.program, *words, *(["--resume"] if resume else [])]

    def start(self, out: Path, resume: bool) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(out, resume),
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def finish(self, out: Path, resume: bool) -> str:
        """Run to the end, and return its standard error."""
        process = self.start(out, resume)
        _, errors = process.communicate(timeout=PATIENCE)
        if process.returncode:
            raise Lost(f"exit code {process.returncode}, expected 0: {errors}")
        return errors

    def kill(self, out: Path, resume: bool, moment: str, rng: random.Random) -> bool:
        """Start and kill; False if the process had ended before."""
        since = time.time_ns()
        done = (Checkpoints(out / "checkpoints").latest() or 0) // EVERY
        process = self.start(out, resume)
        if moment == "any" and rng.random() < self.startup / (self.startup + self.training):
            _sleep(process, rng.uniform(0, self.startup))
        else:
            last = rng.randint(min(done, STEPS // EVERY - 1), STEPS // EVERY - 1)
            self._until(process, lambda: _begun(out, since) and _recorded(out) >= last)
            if moment == "writing":
                before = _partial(out)
                self._until(process, lambda: bool(_partial(out) - before))
            if moment != "writing" or rng.random() < 0.5:
                longest = 0.03 if moment == "writing" else self.training * EVERY / STEPS
                _sleep(process, rng.uniform(0, longest))
        killed = process.poll() is None
        process.send_signal(signal.SIGKILL)
        _, errors = process.communicate()
        if not killed and process.returncode:
            raise Lost(f"exit code {process.returncode}, expected 0: {errors}")
        return killed and process.returncode == -signal.SIGKILL

    def wait_for_training(self, process: subprocess.Popen[str], out: Path) -> None:
        """Wait until it has saved a checkpoint, or has ended."""
        self._until(process, lambda: bool(Checkpoints(out / "checkpoints").steps()))

    def _until(self, process: subprocess.Popen[str], ready: Callable[[], bool]) -> float:
        """The time when it was ready, or when the process had ended."""
        stuck = time.monotonic() + PATIENCE
        while process.poll() is None and not ready():
            if time.monotonic() > stuck:
                process.kill()
                raise Lost(f"a process made no progress in {PATIENCE:.0f} seconds")
            time.sleep(0.0005)
        return time.monotonic()


def _begun(out: Path, since: int) -> bool:
    """Whether the process that was started then has begun to train."""
    try:
        return (out / "metrics.jsonl").stat().st_mtime_ns > since
    except FileNotFoundError:
        return False


def _recorded(out: Path) -> int:
    """The number of rows recorded, including those before it was resumed."""
    return (out / "metrics.jsonl").read_bytes().count(b"\n")


def _partial(out: Path) -> set[tuple[str, int]]:
    """Names and start times of unfinished checkpoints."""
    found = set()
    for path in (out / "checkpoints").glob("*.partial"):
        with suppress(FileNotFoundError):
            found.add((path.name, path.stat().st_ctime_ns))
    return found


def _sleep(process: subprocess.Popen[str], seconds: float) -> None:
    with suppress(subprocess.TimeoutExpired):
        process.wait(seconds)


def contents(out: Path, last_only: bool = False) -> dict[str, Any]:
    """Everything in a finished run that must be reproduced.

    ``last_only``: only the last checkpoint, since a run stopped by hand has an additional one.
    """
    checkpoints = Checkpoints(out / "checkpoints")
    steps = checkpoints.steps()[-1 if last_only else 0 :]
    lines = (out / "metrics.jsonl").read_text().splitlines()
    with (out / "metrics.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    found = {
        "the steps of its checkpoints": steps,
        "the best of them": checkpoints.best(),
        "metrics.jsonl": [_without_times(json.loads(line)) for line in lines],
        "metrics.csv": [_without_times(row) for row in table],
        "unfinished": sorted(
            path.name for path in out.rglob("*") if re.search("partial|tmp", path.name)
        ),
    }
    for step in steps:
        for name, array in read(checkpoints.path(step)).items():
            found[f"step {step}: {name}"] = array.dtype.name, array.shape, array.tobytes()
    return found


def _without_times(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in TIMES}


def compare(out: Path, standard: Path, last_only: bool = False) -> None:
    """Raises ``Lost`` if the run in ``out`` differs from the standard."""
    ours, theirs = contents(out, last_only), contents(standard, last_only)
    wrong = [name for name in {**theirs, **ours} if ours.get(name) != theirs.get(name)]
    if wrong:
        raise Lost(f"{out} differs from the uninterrupted run in {', '.join(wrong)}")


def attack(
    bench: Bench, name: str, moments: Sequence[str], rng: random.Random
) -> Iterator[tuple[str, bool]]:
    """Train in a folder of that name, killed at each of the moments; yields every kill, and whether
    it left an unfinished checkpoint. Raises ``Lost`` if the run differs from the standard."""
    out, resume = bench.folder / name, False
    for moment in moments:
        before = _partial(out)
        if not bench.kill(out, resume, moment, rng):
            break
        yield moment, bool(_partial(out) - before)
        resume = True
    bench.finish(out, resume=True)
    compare(out, bench.standard)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m tools.kill", description=__doc__)
    parser.add_argument("--times", type=int, default=50, metavar="N", help="kills")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the moments")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the summary there")
    asked = parser.parse_args(arguments)
    console = Console(highlight=False, markup=False)
    summary, began = Summary(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kill-") as folder:
        bench = Bench(Path(folder))
        console.print(
            f"a run starts in {bench.startup:.1f} seconds and trains for {bench.training:.1f}"
        )
        while summary.total < asked.times and len(summary.failures) < 5:
            rng = random.Random(f"{asked.seed} {summary.runs}")
            count = min(rng.randint(1, 8), asked.times - summary.total)
            moments = [MOMENTS[(summary.total + k) % len(MOMENTS)] for k in range(count)]
            name, kills = f"run-{summary.runs}", []
            summary.runs += 1
            try:
                for moment, writing in attack(bench, name, moments, rng):
                    summary.kills[moment] += 1
                    summary.while_writing += writing
                    kills.append(
                        f"{moment}{' (an unfinished checkpoint was left)' if writing else ''}"
                    )
                outcome, style = "equal to the standard", "green"
            except Exception as error:
                summary.failures.append(f"{name}: {error}")
                outcome, style = f"FAILED {error}", "red"
            console.print(f"{name}: killed {', '.join(kills) or 'never'}: {outcome}", style=style)
    summary.minutes = round((time.monotonic() - began) / 60, 2)
    console.print(
        f"{summary.total} kills of {summary.runs} runs, {summary.while_writing} while a checkpoint "
        f"was being written, {len(summary.failures)} failures, {summary.minutes:.1f} minutes",
        style="red" if summary.failures else "green",
    )
    if asked.json is not None:
        asked.json.write_text(json.dumps(vars(summary), indent=2) + "\n")
    return 1 if summary.failures else 0


if __name__ == "__main__":
    sys.exit(main())
