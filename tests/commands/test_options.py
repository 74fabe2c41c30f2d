"""A function and its docstring are a command: what is read, what is refused, what help says."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import pytest

from jax_rnn.app.cli import COMMANDS
from jax_rnn.app.failures import UsageError
from jax_rnn.app.options import Command, More
from jax_rnn.lecture.lessons import lesson_names, load
from tests.kit import cases, refused

seen: list = []
"""What the functions below were called with."""


@dataclass(frozen=True)
class Sizes:
    """Sizes.

    Attributes:
        width: number of columns, with ``clip`` 100 % of them.
        clip: largest number; None has no limit.
    """

    width: int = 3
    clip: float | None = None


def tool(
    run: Annotated[Path, "RUN"],
    names: tuple[str, ...] = (),
    *,
    top_k: Annotated[int | None, "K"] = None,
    rate: float = 0.5,
    pass_: Literal["one", "all"] = "all",
    resume: bool | Path = False,
    quiet: bool = False,
) -> None:
    """Do it.

    Args:
        run: Folder, see `other`.
        names: Names.
        top_k: Number of them, with ``pass_``.
        rate: Rate.
        pass_: Which.
        resume: Again.
        quiet: Say nothing.
    """
    seen.append((run, names, top_k, rate, pass_, resume, quiet))


def staged(place: str = "", *, out: Path | None = None, quiet: bool = False) -> More:
    """Do it in two stages.

    Args:
        place: Where.
        out: File.
        quiet: Say nothing.
    """
    return More(
        lambda sizes: seen.append((place, out, sizes)), Sizes(), place, frozenset({"quiet"})
    )


@pytest.fixture(autouse=True)
def called():
    seen.clear()
    return seen


READ = [
    ("r", ((), None, 0.5, "all", False, False)),
    ("--rate 2 r --top-k=3", ((), 3, 2.0, "all", False, False)),
    ("r a --rate -1 b", (["a", "b"], None, -1.0, "all", False, False)),
    ("r --pass one --quiet", ((), None, 0.5, "one", False, True)),
    ("r --resume --quiet", ((), None, 0.5, "all", True, True)),
    ("r --resume x", ((), None, 0.5, "all", Path("x"), False)),
]


@pytest.mark.parametrize(("words", "expected"), READ)
def test_words_are_read_by_the_signature(words, expected, called):
    Command("x tool", tool).run(words.split(), called.append)
    assert called == [True, (Path("r"), *expected)]


def test_every_command_has_an_option_against_the_cache(called):
    Command("x tool", tool).run(["r", "--no-compilation-cache"], called.append)
    Command("x", staged).run(["--no-compilation-cache"], called.append)
    assert [entry for entry in called if isinstance(entry, bool)] == [False, False]


OTHER = [
    ("r --top-k 1.5", "--top-k: expected a whole number, got '1.5'"),
    (f"r --top-k {'9' * 5000}", "--top-k: expected a whole number, got '999"),
    ("r --rate x", "--rate: expected a number, got 'x'"),
    ("r --pass none", "--pass: expected one of one, all, got 'none'"),
    ("r --resume ", "--resume: expected the name"),
    ("r --top-k", "--top-k: expected one argument; see `x tool --help`"),
    ("r --quiet=1", "--quiet: "),
    ("r --rat 1", "unexpected option '--rat'; did you mean --rate? `x tool --help`"),
    ("r --\x1b[31m", "unexpected option '--\\x1b[31m'"),
    (None, "expected RUN, got none; see `x tool --help`"),
    ("", "RUN: expected the name"),
    ("staged --width none", "--width: expected a whole number"),
    ("staged there", "unexpected argument 'there'"),
    ("staged --wid 1", "unexpected option '--wid'; did you mean --width? `x tool sta"),
]


@pytest.mark.parametrize(("words", "start"), OTHER, ids=[start for _, start in OTHER])
def test_other_words_are_refused_in_one_short_sentence(words, start):
    words = [] if words is None else words.split(" ")
    command = Command("x tool", staged if words[:1] == ["staged"] else tool)
    said = refused(UsageError, start, lambda: command.run(words, lambda cache: None))
    assert said.startswith(start) and len(said) < 150


STAGES = [
    ("here --width 5", ("here", None, {"width": 5})),
    ("--clip 2 --out f", ("", Path("f"), {"clip": 2.0})),
    ("--clip none", ("", None, {"clip": None})),
]


@pytest.mark.parametrize(("words", "expected"), STAGES)
def test_options_of_the_second_stage_are_fields_of_a_dataclass(words, expected, called):
    Command("x", staged).run(words.split(), lambda cache: None)
    assert called == [expected]


@pytest.fixture
def helped(run):
    """The lines of help."""

    def lines(*words):
        result = run(*words)
        assert result.code == 0
        return result.out.splitlines()

    return lines


def test_help_of_a_dataclass_has_defaults_and_names_options(run):
    result = run("here", "--help", main=lambda words: Command("x", staged).run(words, print))
    shown = " ".join(result.out.split())
    assert "usage: x here [OPTIONS] here options:" in shown and "--quiet" not in shown
    assert "--width N Number of columns, with --clip 100 % of them (default: 3)." in shown
    assert "--clip X|none Largest number; none has no limit (default: none)." in shown


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",)])
def test_the_overview_names_every_command(words, helped, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    found = helped(*words)
    assert found[0] == "usage: jax-rnn COMMAND [OPTIONS]"
    names = [line.split()[0] for line in found if line.startswith("  ") and line[2] != " "]
    assert names[: len(COMMANDS)] == list(COMMANDS)
    assert max(map(len, found)) <= 80


PAGES = [("train", "char_lm"), ("train", "cell"), *((name,) for name in COMMANDS)]


@cases("columns", [60, 80], short=1)
@cases("words", PAGES + [("train", name) for name in lesson_names()], short=len(PAGES))
def test_help_fits_the_terminal_and_speaks_the_language_of_the_command_line(
    words, columns, helped, monkeypatch
):
    monkeypatch.setenv("COLUMNS", str(columns))
    found = helped(*words, "--help")
    assert found[0].startswith(f"usage: jax-rnn {' '.join(words)}")
    assert max(map(len, found)) <= columns
    assert any(line.startswith(f"$ jax-rnn {words[0]}") for line in found)
    assert not {"None", "{", "`"} & {*" ".join(found).split(), *"".join(found)}


SHOWN = [  # (lesson, options, options that it does not have)
    ("char_lm", "--text --window --preset --steps --out", "--variant"),
    ("names", "--batch-size --mesh", "--text --preset --variant"),
    ("ihello", "--variant --preset --steps --out", "--text --hidden-size"),
    ("softmax", "--steps --out", "--variant --preset --embedding-size"),
    ("cell", "--seed --dtype --init --device", "--steps --out --mesh --resume --coordinator"),
]


@pytest.mark.parametrize(("lesson", "shown", "absent"), SHOWN)
def test_a_lesson_shows_the_options_that_it_has(lesson, shown, absent, helped):
    words = {*" ".join(helped("train", lesson, "--help")).split()}
    assert {*shown.split()} <= words and not {*absent.split()} & words
    assert load(lesson).teaches.split()[0] in words
