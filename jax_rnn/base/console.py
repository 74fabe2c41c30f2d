"""Print text of any origin on a terminal: paths, error messages, output of a model."""

import re
from textwrap import TextWrapper

from rich.console import Console
from rich.text import Text

__all__ = ["CONTROL", "LONGEST", "printable", "say"]

LONGEST = 2_000
"""Maximum number of characters of a message."""

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters except tab and line feed, changes of direction, and lone surrogates."""


def printable(text: object, most: int | None = LONGEST) -> str:
    """``text`` with control characters as escapes, cut to ``most`` characters.

    Args:
        text: any object; it is converted to a string.
        most: maximum length; None does not cut.
    """
    found = str(text)
    found = CONTROL.sub(
        lambda match: ascii(match[0])[1:-1], found[: None if most is None else most + 1]
    )
    return found if most is None or len(found) <= most else found[: most - 3] + "..."


def say(console: Console, text: object, label: str = "") -> None:
    """Print a message literally: no markup, no highlighting; a terminal breaks it between words.

    Args:
        console: where it is printed.
        text: the message.
        label: what it starts with, in red.
    """
    message = f"{label} {printable(text)}" if label else printable(text)
    if console.is_terminal:
        wrapper = TextWrapper(
            console.width,
            expand_tabs=False,
            replace_whitespace=False,
            break_long_words=False,
            break_on_hyphens=False,
        )
        message = "\n".join(map(wrapper.fill, message.split("\n")))
    shown = Text(message)
    shown.stylize("bold red", 0, len(label))
    console.print(shown, soft_wrap=True)
