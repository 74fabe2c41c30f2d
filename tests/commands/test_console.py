"""Text of any origin on a terminal is neither markup nor a control sequence."""

import io

import pytest
from rich.console import Console

from jax_rnn.base import progress
from jax_rnn.base.console import LONGEST, printable, say


def screen(**options):
    return Console(file=io.StringIO(), **options)


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[/foo] [red]x[/]", "[/foo] [red]x[/]"),
        ("\x1b[2J\a\r", "\\x1b[2J\\x07\\r"),
        ("a\nünï 名", "a\nünï 名"),
        ("\u202e\udcff", "\\u202e\\udcff"),
        (":smile:", ":smile:"),
    ],
)
def test_is_printed_as_it_stands(text, expected, terminal):
    console = screen(width=40, force_terminal=terminal)
    say(console, text)
    assert console.file.getvalue() == expected + "\n"


def test_a_terminal_breaks_lines_between_words_and_a_file_has_none_broken():
    words = ["held out:", "bits_per_character 0.019,", "/a/path/" + "x" * 30, "(3 tokens/s)"]
    for terminal in (True, False):
        console = screen(width=30, force_terminal=terminal)
        say(console, " ".join(words))
        lines = console.file.getvalue().splitlines()
        assert [word for line in lines for word in line.split()] == " ".join(words).split()
        assert len(lines) == (4 if terminal else 1)


def test_is_no_longer_than_a_screen():
    assert len(printable("x" * 551_979)) == len(printable("\x1b" * 551_979)) == LONGEST
    assert printable("x" * 551_979).endswith("x...")
    assert len(printable("x" * 9_999, None)) == 9_999


def test_a_bar_is_seen_without_colours_and_before_the_first_step(monkeypatch):
    monkeypatch.setattr(progress, "PATIENCE", -1.0)
    console = screen(width=80, force_terminal=True, no_color=True)
    with progress.progress_bar("work", 4, console) as bar:
        bar(0, "compiling")
    assert "─" * progress.WIDTH in console.file.getvalue()
