"""Draw command lines, folder names and damaged run folders; no traceback and no hang may follow.

Every draw is one call of ``jax-rnn``: options and values that are valid, mistyped or absurd, run
folders of any name, or a run folder in which a file was damaged. It passes if the command ends in
time with exit code 0, 1, 2 or 130, prints no traceback, no raw control character, and no message
longer than a screen. Draws are numbered, and the same number is the same draw.

    python -m tools.fuzz_cli --draws 1000
    python -m tools.fuzz_cli --only 42
    python -m tools.fuzz_cli --draws 100 --first 5000 --json summary.json
"""

import argparse
import contextlib
import importlib
import io
import json
import multiprocessing
import os
import random
import re
import shutil
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from jax_rnn.base.sealed import sha256

LIMIT = 120.0
"""Seconds after which a call counts as hanging; compilation on a busy machine takes a few."""

LONGEST = 4_000
"""Characters of standard error that still fit a screen."""

TRAIN = ["--steps", "2", "--batch-size", "2", "--hidden-size", "3", "--embedding-size", "2"]
TRAIN += ["--window", "4", "--evaluate-every", "1", "--warmup", "0"]

QUICK_COMPILER = "--xla_backend_optimization_level=0"

VALUES = [
    "", "0", "1", "2", "-1", "3.5", "nan", "inf", "-inf", "1e999", "-0", "True", "None", "x", "é",
    "[/foo]", "[red]", "\x1b[31m", "a\nb", "\t", "'", '"', "\\", "*", "%s", "{}", "--", "-h", "..",
    "/", "/dev/null", "/dev/zero", ".", "data=3", "data=0", "data=", "cpu", "lstm", "float64",
    str(2**31), str(2**32), str(2**63), str(2**64), "-" + str(2**63), "9" * 400, "x" * 5000,
    "100000000", "99999999999999", "localhost", "1,2,3,4", "0,0,0,0", "best", "json", "x.png",
]  # fmt: skip

NAMES = [
    "plain", "with space", "ünï 名", "line\nbreak", "[brackets]", "[/foo]", "a[0-9]*", "quote'\"",
    "back\\slash", "-dash", "--out", "a{b,c}", "~", "$HOME", "%41", "*?", "tab\t", "\x1b[31mred",
    "x" * 200, "x" * 300, "..", "", "a/b/c", "nul.", ":", "#?&", "a;b", "|", "e\u0301", "\u202etxt",
]  # fmt: skip

COMMANDS: dict[str, list[str]] = {
    "lessons": [],
    "doctor": [],
    "train": ["--preset", "--seed", "--init", "--dtype", "--device"],
    "compare": ["--preset", "--seed", "--seeds", "--dtype", "--steps", "--json", "--html"],
    "sweep": [
        "--preset",
        "--steps",
        "--dtype",
        "--text",
        "--seeds",
        "--framework",
        "--init",
        "--seeds-per-call",
        "--json",
    ],
    "bench": ["--layer", "--shape", "--pass", "--layers", "--precision", "--device", "--json"],
    "sample": ["--prompt", "--temperature", "--top-k", "--length", "--seed", "--checkpoint"],
    "eval": ["--text", "--checkpoint", "--json"],
    "inspect": ["--prompt", "--layer", "--cells", "--html", "--out", "--checkpoint"],
    "export": ["--to", "--file", "--platforms", "--checkpoint"],
}
"""Every command, and its options that take a value."""

RECIPE = [
    "--cell", "--embedding-size", "--hidden-size", "--num-layers", "--dropout", "--batch-size",
    "--window", "--learning-rate", "--warmup", "--schedule", "--weight-decay", "--clip",
    "--accumulate", "--dtype", "--seed", "--evaluate-every", "--patience", "--preset", "--text",
    "--mesh", "--device", "--init", "--out", "--steps", "--connect-timeout",
]  # fmt: skip
QUICK = {
    "sweep": ["--seeds", "2"],
    "bench": ["--shape", "1,2,3,4", "--seconds", "0.01"],
    "sample": ["--length", "5"],
}
"""Options that keep a call short; those that are drawn come after them."""


@dataclass(frozen=True)
class Outcome:
    """How a call ended.

    Attributes:
        number: of the draw.
        words: of the command line.
        what: ``"ok"``, or what is wrong.
        detail: the end of what was printed, or a traceback.
    """

    number: int
    words: list[str]
    what: str
    detail: str = ""


class Workplace:
    """A folder with a small text and a finished run of two lessons."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.text = folder / "text.txt"
        self.text.write_text("to be or not to be, that is the question.\n" * 30)
        self.runs = [folder / "runs" / "char_lm", folder / "runs" / "seq2seq"]

    def prepare(self) -> None:
        text = ["--text", str(self.text)]
        for run, more in zip(self.runs, (text, []), strict=True):
            code, _, errors, trace = call(["train", run.name, "--out", str(run), *TRAIN, *more])
            if code or trace:
                raise RuntimeError(f"{run.name} does not train: {errors}{trace}")

    def draw(self, number: int) -> list[str]:
        """The words of one call; makes the files that they name."""
        rng = random.Random(number)
        kinds: list[Callable[[random.Random], list[str]]] = [
            self._options,
            self._recipe,
            self._name,
            self._damaged,
            self._damaged,
        ]
        return rng.choice(kinds)(rng)

    def _options(self, rng: random.Random) -> list[str]:
        """Options of a command with values of any kind."""
        name = rng.choice(list(COMMANDS))
        words = [name]
        if name in ("train", "compare", "sweep"):
            words.append(rng.choice(["cell", "softmax", "ihello", "ihelo", "", rng.choice(VALUES)]))
        if name in ("sample", "eval", "inspect", "export"):
            words.append(str(self._copy(rng)) if rng.random() < 0.7 else rng.choice(VALUES))
        words += QUICK.get(name, [])
        for _ in range(rng.randrange(3)):
            words += self._option(rng, COMMANDS[name])
        if rng.random() < 0.1:
            words.insert(0, rng.choice(VALUES))
        return words

    def _recipe(self, rng: random.Random) -> list[str]:
        """A recipe with values of any kind, for a run in a new folder."""
        out = self.folder / "out" / f"{rng.random()}"
        words = ["train", "char_lm", "--text", str(self.text), *TRAIN, "--out", str(out)]
        for _ in range(rng.randrange(1, 4)):
            words += self._option(rng, RECIPE)
        return words

    def _name(self, rng: random.Random) -> list[str]:
        """A folder of any name: train into it, or use a run that was moved there."""
        name = rng.choice(NAMES)
        out = f"{self.folder}/out/{rng.random()}/{name}" if name else name
        if rng.random() < 0.5 or not name:
            return ["train", "char_lm", "--text", str(self.text), *TRAIN, "--out", out]
        with contextlib.suppress(OSError):
            shutil.copytree(self.runs[0], out, dirs_exist_ok=True)
        return [*self._use(rng, out), *([] if rng.random() < 0.5 else ["--checkpoint", "last"])]

    def _damaged(self, rng: random.Random) -> list[str]:
        """A run in which some files were damaged."""
        run = self._copy(rng)
        for _ in range(rng.randrange(1, 3)):
            files = sorted(path for path in run.rglob("*") if path.is_file())
            if files:
                damage(rng, rng.choice(files), run)
        if rng.random() < 0.3:
            return ["train", "--resume", str(run), "--steps", "3"]
        return self._use(rng, str(run))

    def _use(self, rng: random.Random, run: str) -> list[str]:
        command = rng.choice(["sample", "eval", "inspect", "export"])
        more = {"sample": ["--length", "3"], "export": ["--to", "safetensors"]}
        return [command, run, *more.get(command, [])]

    def _option(self, rng: random.Random, options: Sequence[str]) -> list[str]:
        if not options:
            return []
        option = rng.choice(options)
        value = rng.choice(VALUES)
        if rng.random() < 0.05:
            return [option[:-1], value]
        return [f"{option}={value}"] if rng.random() < 0.5 else [option, value]

    def _copy(self, rng: random.Random) -> Path:
        run = self.folder / "copies" / f"{rng.random()}"
        shutil.copytree(rng.choice(self.runs), run)
        return run


def damage(rng: random.Random, path: Path, run: Path) -> None:
    """Damage one file of a run in one of many ways."""
    data = path.read_bytes()
    kind = rng.randrange(12)
    if kind == 0:
        path.unlink()
    elif kind == 1:
        path.write_bytes(data[: rng.randrange(len(data) + 1)])
    elif kind == 2 and data:
        place = rng.randrange(len(data))
        flipped = data[place] ^ (1 << rng.randrange(8))
        path.write_bytes(data[:place] + bytes([flipped]) + data[place + 1 :])
    elif kind == 3:
        path.write_bytes(b"[" * 100_000)
    elif kind == 4:
        path.write_text(rng.choice(["[]", "1", "null", '"x"', "{}", '{"a": {}}', "\ufeff{}", "\0"]))
    elif kind == 5:
        path.unlink()
        path.symlink_to(rng.choice(["/dev/zero", "/etc/passwd", str(run), "nowhere", path.name]))
    elif kind == 6:
        path.unlink()
        os.mkfifo(path)
    elif kind == 7:
        path.unlink()
        path.mkdir()
    elif kind in (8, 9) and path.suffix == ".safetensors":
        edit_checkpoint(rng, path)
    elif kind == 8:
        path.chmod(0)
    elif kind == 9 and path.suffix == ".json":
        path.write_text(edited(rng, data.decode("utf-8", "replace")))
    elif kind == 10:
        swap_steps(run)
    else:
        path.write_bytes(data + data)


def edited(rng: random.Random, text: str) -> str:
    """JSON with another value for one field, at any depth; other text unchanged."""
    try:
        found = json.loads(text)
    except ValueError:
        return text
    place = found
    while isinstance(place, dict) and place:
        key = rng.choice(list(place))
        if not isinstance(place[key], dict) or rng.random() < 0.3:
            values = [None, [], {}, "", "../..", "evil:Model", "/dev/zero", -1, 1e300, [[]] * 9]
            place[key] = rng.choice(values)
            break
        place = place[key]
    return json.dumps(found)


def edit_checkpoint(rng: random.Random, path: Path) -> None:
    """Another value in the metadata of a checkpoint, with a checksum that fits."""
    with contextlib.suppress(Exception):  # it was damaged before
        with safe_open(path, "np") as file:
            about = edited(rng, file.metadata()["about"])
        tensors = load_file(path)
        checksum = sha256(about, sorted(tensors.items()))
        save_file(tensors, path, {"about": about, "sha256": checksum})


def swap_steps(run: Path) -> None:
    """Give the first and the last checkpoint each other's names."""
    steps = sorted((run / "checkpoints").glob("step-*"))
    if len(steps) > 1:
        aside = run / "checkpoints" / "aside"
        steps[0].rename(aside)
        steps[-1].rename(steps[0])
        aside.rename(steps[-1])


def call(words: Sequence[str]) -> tuple[Any, str, str, str]:
    """Exit code, standard output, standard error and traceback of one call in this process."""
    from jax_rnn.app.cli import main

    out, err, trace, code = io.StringIO(), io.StringIO(), "", 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(list(words))
        except SystemExit as left:
            code = 0 if left.code is None else left.code
        except BaseException:
            trace = traceback.format_exc()
    return code, out.getvalue(), err.getvalue(), trace


def judge(number: int, words: list[str], ended: tuple[Any, str, str, str]) -> Outcome:
    """What is wrong with how a call ended, if anything."""
    code, out, err, trace = ended
    if trace or "Traceback (most recent call last)" in err:
        return Outcome(number, words, "traceback", trace or err[-3000:])
    if code not in (0, 1, 2, 130):
        return Outcome(number, words, "exit code", f"{code!r}: {err[-500:]}")
    if re.search(r"[\x00-\x08\x0b-\x1f\x7f]", out + err):
        return Outcome(number, words, "control characters", repr((out + err)[-500:]))
    if len(err) > LONGEST:
        return Outcome(number, words, "long message", f"{len(err)} characters: {err[:300]!r}")
    if code and not err.strip():
        return Outcome(number, words, "no message", f"exit code {code}")
    return Outcome(number, words, "ok", f"exit code {code}: {err.strip()[-300:]}")


def work(folder: str, connection: Any) -> None:
    """A process that makes calls until it is stopped."""
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    os.environ.setdefault("XLA_FLAGS", QUICK_COMPILER)
    os.chdir(folder)
    dates: Any = importlib.import_module("jax_rnn.data.dates")
    dates.read_dates = partial(dates.read_dates, 150)
    workplace = Workplace(Path(folder))
    if not all(run.exists() for run in workplace.runs):
        workplace.prepare()
    connection.send("ready")
    while True:
        number = connection.recv()
        words = workplace.draw(number)
        connection.send(words)
        connection.send(judge(number, words, call(words)))


def outcomes(numbers: Sequence[int], limit: float = LIMIT) -> Iterator[Outcome]:
    """Every draw's outcome; a process that hangs is killed, and another continues."""
    context = multiprocessing.get_context("spawn")
    process: Any = None
    with tempfile.TemporaryDirectory(prefix="fuzz-cli-") as folder:
        for number in numbers:
            if process is None:
                here, there = context.Pipe()
                process = context.Process(target=work, args=(folder, there), daemon=True)
                process.start()
                there.close()
                here.recv()
            here.send(number)
            words: list[str] = []
            try:
                words = here.recv()
                found = here.recv() if here.poll(limit) else None
            except EOFError:
                yield Outcome(number, words, "crash", "the process ended")
                process = None
                continue
            if found is None:
                process.kill()
                process = None
                yield Outcome(number, words, "hang", f"more than {limit:g} s")
            else:
                yield found
        if process is not None:
            process.kill()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        "python -m tools.fuzz_cli",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--draws", type=int, default=100, metavar="N", help="how many")
    parser.add_argument("--first", type=int, default=0, metavar="N", help="number of the first")
    parser.add_argument("--only", type=int, metavar="N", help="this draw alone, shown in full")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the summary there")
    options = parser.parse_args(arguments)
    numbers = range(options.first, options.first + options.draws)
    if options.only is not None:
        numbers = range(options.only, options.only + 1)
    counts: Counter[str] = Counter()
    faults = []
    for outcome in outcomes(numbers):
        counts[outcome.what] += 1
        if outcome.what != "ok":
            faults.append(outcome)
        if outcome.what != "ok" or options.only is not None:
            print(f"draw {outcome.number}: {outcome.what}\n  {outcome.words!r}\n{outcome.detail}")
        done = sum(counts.values())
        if done % 50 == 0:
            print(f"{done} of {len(numbers)} draws: {dict(counts)}", file=sys.stderr, flush=True)
    print(f"{sum(counts.values())} draws: {', '.join(f'{n} {what}' for what, n in counts.items())}")
    if options.json:
        summary = {"draws": len(numbers), "first": numbers[0], "outcomes": dict(counts)}
        summary["faults"] = [asdict(fault) for fault in faults]
        options.json.write_text(json.dumps(summary, indent=2) + "\n")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
