"""Never lose a run: trainings that are killed again and again end as one that nobody touched.

``jax-rnn train char_lm`` runs on a small text to its end; that is the standard. Then the same
command is started in other folders, killed with SIGKILL, started with ``--resume``, killed again,
until it finishes. What it leaves has to be what the standard left, bit for bit: parameters,
optimizer, carried state and step, which checkpoints there are, and all that it recorded but times.

A kill comes at a random moment: of the whole life of the process, imports included; of its
training; or as soon as a checkpoint is being written.

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
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orbax.checkpoint as ocp
from rich.console import Console

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
"""All that a run could lose count of: dropout, carried state, accumulation, a schedule."""

MOMENTS = ("any", "training", "writing")
TIMES = {"seconds", "tokens_per_second"}
PATIENCE = 600.0
"""Seconds after which a process is stuck."""


class Lost(AssertionError):
    """A run that was killed did not end as the one that was not."""


@dataclass
class Summary:
    """How often it was tried, and how that went; a kill that came too late is none."""

    kills: Counter = field(default_factory=Counter)
    while_writing: int = 0
    runs: int = 0
    failures: list[str] = field(default_factory=list)
    minutes: float = 0.0

    @property
    def total(self) -> int:
        return sum(self.kills.values())


class Bench:
    """A place to train in: the text, a cache of compiled programs, the run that is the standard."""

    program = (sys.executable, "-m", "jax_rnn")

    def __init__(self, folder: Path):
        self.folder = folder
        self.text = folder / "text.txt"
        words = ("if", "you", "want", "to", "build", "a", "ship", "do", "not", "drum", "up")
        rng = random.Random(0)
        self.text.write_text(" ".join(rng.choice(words) for _ in range(3000)))
        self.environment = os.environ | {
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
        """Run to the end; what it said on standard error."""
        process = self.start(out, resume)
        _, errors = process.communicate(timeout=PATIENCE)
        if process.returncode:
            raise Lost(f"exit code {process.returncode}, expected 0: {errors}")
        return errors

    def kill(self, out: Path, resume: bool, moment: str, rng: random.Random) -> bool:
        """Start and kill; False if the process had come to its end before."""
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
        """Until it has saved something and is not at its end."""
        self._until(process, lambda: bool(Checkpoints(out / "checkpoints").steps()))

    def _until(self, process: subprocess.Popen[str], ready: Callable[[], bool]) -> float:
        """When it was ready, or the process at its end."""
        stuck = time.monotonic() + PATIENCE
        while process.poll() is None and not ready():
            if time.monotonic() > stuck:
                process.kill()
                raise Lost(f"a process did not get on in {PATIENCE:.0f} seconds")
            time.sleep(0.0005)
        return time.monotonic()


def _begun(out: Path, since: int) -> bool:
    """Whether the process that was started then has begun to train."""
    try:
        return (out / "metrics.jsonl").stat().st_mtime_ns > since
    except FileNotFoundError:
        return False


def _recorded(out: Path) -> int:
    """How many rows the process has recorded, those that it goes on from included."""
    return (out / "metrics.jsonl").read_bytes().count(b"\n")


def _partial(out: Path) -> set[tuple[str, int]]:
    """Checkpoints that are, or were, being written: their names and when they were begun."""
    found = set()
    for path in (out / "checkpoints").glob("partial-*"):
        with suppress(FileNotFoundError):
            found.add((path.name, path.stat().st_ctime_ns))
    return found


def _sleep(process: subprocess.Popen[str], seconds: float) -> None:
    with suppress(subprocess.TimeoutExpired):
        process.wait(seconds)


def contents(out: Path, last_only: bool = False) -> dict[str, Any]:
    """All of a finished run that has to be the same again.

    ``last_only``: of its checkpoints the last. A person who stops a run leaves one that is not at
    the usual distance.
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
            path.name for path in out.rglob("*") if re.search("partial|removed|tmp", path.name)
        ),
    }
    for step in steps:
        with ocp.StandardCheckpointer() as checkpointer:
            arrays = checkpointer.restore(checkpoints.path(step))
        for name, array in arrays.items():
            value = np.asarray(array)
            found[f"step {step}: {name}"] = (value.dtype.str, value.shape, value.tobytes())
    return found


def _without_times(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in TIMES}


def compare(out: Path, standard: Path, last_only: bool = False) -> None:
    """Raises ``Lost`` where the run in ``out`` is not as the other."""
    ours, theirs = contents(out, last_only), contents(standard, last_only)
    wrong = [name for name in {**theirs, **ours} if ours.get(name) != theirs.get(name)]
    if wrong:
        raise Lost(f"{out} differs from the run that nobody killed in {', '.join(wrong)}")


def attack(
    bench: Bench, name: str, moments: Sequence[str], rng: random.Random
) -> Iterator[tuple[str, bool]]:
    """Train in a folder of that name, killed at each of the moments; yields every kill, and whether
    it left a checkpoint half written. Raises ``Lost`` if the run is not as the standard."""
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
                    kills.append(f"{moment}{' (half a checkpoint was left)' if writing else ''}")
                outcome, style = "as if nothing had been", "green"
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
