"""Every command that the documents and ``--help`` show runs, on the smallest real input."""

import hashlib
import re
import shlex
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

pytest.importorskip("torch")

import reference_torch
from jax_rnn.app import cli
from jax_rnn.app.train import describe
from jax_rnn.lecture.lessons import DATA_SETS, LESSONS, load
from tests.kit import cases

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
SMALL = (
    "--steps 2 --batch-size 8 --hidden-size 3 --embedding-size 2 --window 5 --evaluate-every 1 "
    "--warmup 0"
)
QUICK = {
    "bench": {"--shape": "2,3,4,5", "--seconds": "0.01"},
    "compare": {"--steps": "2"},
    "sweep": {"--steps": "2", "--seeds": "2"},
    "sample": {"--length": "5"},
    "probe": {"--steps": "2", "--hidden-size": "4", "--batch": "2", "--length": "40"},
}
"""Options in place of those shown, or besides them."""


def shown():
    """The commands of code blocks, of inline code, and of the help."""
    for page in PAGES:
        text = page.read_text().replace("\\\n", " ")
        for block in re.findall(r"^```(?:console|sh|text)\n(.*?)^```", text, re.M | re.S):
            yield from re.findall(r"(jax-rnn [^#\n']*)", block)
        for inline in re.findall(r"`(jax-rnn [^`]*)`", text):
            yield " ".join(inline.split())
    for function in cli.COMMANDS.values():
        yield from re.findall(r"\$ (jax-rnn .*)", function.__doc__)
    for name in ("char_lm", "ihello"):
        yield from re.findall(r"\$ (jax-rnn .*)", describe(load(name)))


def is_example(command):
    """Whether it can be run as it stands: no placeholder, no command line of a cluster."""
    words = shlex.split(command)
    cluster = {"--coordinator", "--distributed"} & {*words}
    placeholder = any(word in ("LESSON", "RUN", "NAME", "COMMAND", "FOLDER") for word in words)
    alone = len(words) > 2 or {*words} & {"lessons", "doctor", "bench", "--help", "--version"}
    return bool(alone) and not cluster and not placeholder


OWN = """
import jax, jax.numpy as jnp
from jax_rnn import GatedCell, HiddenCarry
from jax_rnn.probes import Example, Task

class Cell(GatedCell[HiddenCarry]):
    gates = ("a",)

    def update(self, gates, carry):
        h = jnp.tanh(gates.a)
        return HiddenCarry(h), h

class Last(Task):
    title = "the symbol before"
    inputs = outputs = 3

    def sample(self, key, batch, length):
        x = jax.random.randint(key, (batch, length), 0, 3)
        return Example(x, jnp.roll(x, 1, 1), jnp.ones(x.shape), jnp.ones(x.shape))
"""
"""A file with a cell and a task of one's own, which get the names of an example."""

EXAMPLES = sorted({command.strip() for command in shown() if is_example(command)})
FIRST = ("jax-rnn compare ihello", "jax-rnn doctor", "jax-rnn lessons", "jax-rnn eval runs/mine")


def shortened(command):
    """The words of a command, with options that make it quick."""
    _, name, *words = shlex.split(command)
    options = dict(QUICK.get(name, {}))
    if any(word in LESSONS and not load(word).trained for word in words):
        options = {}
    if "--seeds" in words:
        options["--seeds"] = "2"
    if name == "train" and {*DATA_SETS} & {*words[:1]} and "--help" not in words:
        sizes = shlex.split(SMALL)
        options |= dict(zip(sizes[::2], sizes[1::2], strict=True))
    for option, value in options.items():
        if option in words:
            words[words.index(option) + 1] = value
        else:
            words += [option, value]
    return [name, *words]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory, little_data):
    """A folder with a text, and a function that makes the run that an example names."""
    folder = tmp_path_factory.mktemp("workplace")
    (folder / "my_book.txt").write_text("ROMEO: to be or not to be, that is the question.\n" * 30)

    @cache
    def make(name):
        lesson = "char_lm" if name == "mine" else name
        text = ["--text", "my_book.txt"] if lesson == "char_lm" else []
        sizes = SMALL if lesson in DATA_SETS else "--steps 2"
        cli.main(["train", lesson, "--out", f"runs/{name}", *text, *shlex.split(sizes)])

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder, make


def write_files_of_a_user(command):
    """The cells and the tasks that a command names, ``FILE.py:NAME``, in this folder."""
    for file, name in re.findall(r"([\w/]+\.py):(\w+)", command):
        kind, path = "Last" if f"--tasks {file}" in command else "Cell", Path(file)
        path.parent.mkdir(exist_ok=True)
        known = (ROOT / file).read_text() if (ROOT / file).is_file() else ""
        path.write_text(known or f"{OWN}\n{name} = {kind}\n")


@cases("command", sorted(EXAMPLES, key=lambda c: c not in FIRST), short=len(FIRST))
def test_a_documented_command_runs(command, request, monkeypatch, run):
    words = shortened(command)
    if any("runs/" in word or word in (*DATA_SETS, "--all") for word in words):
        folder, make = request.getfixturevalue("workplace")
        monkeypatch.chdir(folder)
        for name in re.findall(r"runs/(\w+)", command):
            if "--resume" in words or words[0] != "train":
                make(name)
    else:
        monkeypatch.chdir(request.getfixturevalue("tmp_path"))
        write_files_of_a_user(command)
    if "--all" in words:
        monkeypatch.setattr(
            "jax_rnn.lecture.lessons.lesson_names", lambda: ("cell", "ihello", "char_lm")
        )
    if words[0] in ("compare", "sweep"):
        small = {"hidden_size": 3, "embedding_size": 2, "batch_size": 8, "window": 5}
        for name in DATA_SETS:
            for lesson in (load(name), reference_torch.load(name)):
                monkeypatch.setitem(vars(lesson), "recipe", replace(lesson.recipe, **small))
    if "--out" in words and "--resume" not in words:
        words[words.index("--out") + 1] += f"-{hashlib.sha256(command.encode()).hexdigest()[:9]}"
    result = run(*words)
    if "gpu" in words and result.code == 1:  # this machine has none
        assert "kind 'gpu'" in result.err
    else:
        assert result.code == 0, result.err


def test_examples_are_found_everywhere():
    text = "\n".join(EXAMPLES)
    for name in cli.COMMANDS:
        assert f"jax-rnn {name}" in text
    assert {*FIRST} <= {*EXAMPLES}


def test_every_target_of_make_that_is_shown_exists():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.M))
    shown = {
        word
        for page in PAGES
        for line in re.findall(r"(?:^\$ |`)make ([^`\n#]*)", page.read_text(), re.M)
        for word in line.split()
        if "=" not in word
    }
    assert shown >= {"demo", "test", "test-all", "lint", "bench", "lock", "coverage", "docs"}
    assert shown <= targets


@pytest.mark.parametrize(
    "module", re.findall(r"python -m ([\w.]+)", "".join(p.read_text() for p in PAGES))
)
def test_every_module_that_is_shown_exists(module):
    place = ROOT.joinpath(*module.split("."))
    assert (
        module == "pytest" or place.with_suffix(".py").exists() or (place / "__main__.py").exists()
    )
