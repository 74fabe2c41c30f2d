"""Text of any origin on a terminal is neither markup nor a control sequence."""

import io

import pytest
from rich.console import Console

from jax_rnn.base.console import LONGEST, printable, say


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
def test_is_printed_as_it_stands(text, expected):
    screen = io.StringIO()
    say(Console(file=screen, width=40), text)
    assert screen.getvalue() == expected + "\n"


def test_is_no_longer_than_a_screen():
    assert len(printable("x" * 551_979)) == len(printable("\x1b" * 551_979)) == LONGEST
    assert printable("x" * 551_979).endswith("x...")
    assert len(printable("x" * 9_999, None)) == 9_999
