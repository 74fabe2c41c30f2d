"""Docstrings for Sphinx: our sections as those that napoleon reads, public names as links.

A docstring of this project names its sections as Google's style does, some within a line
("Source: K. Cho et al., 2014."), and public names in double backticks.
"""

import re
from collections.abc import Iterator
from typing import Any

from sphinx.application import Sphinx

from docs.extensions.public import public

__all__ = ["prepared", "prose", "setup"]

WITHIN_A_LINE = re.compile(r"^(Shapes|Source): (.+)")
ENTRY = re.compile(r"^ {4}(\w+): (.+)")
NEXT_ERROR = re.compile(r"(?<=\.)\s+(?=[A-Z]\w+Error(?:, \w+Error)*: )")


def setup(app: Sphinx) -> dict[str, bool]:
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("autodoc-process-docstring", _process, priority=100)  # before napoleon
    app.connect("autodoc-process-signature", _shorter)
    app.connect("autodoc-skip-member", _skip)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _process(_: Any, kind: str, path: str, value: Any, options: Any, lines: list[str]) -> None:
    lines[:] = prepared(lines, path)


def _skip(_: Any, kind: str, name: str, value: Any, skip: bool, options: Any) -> bool | None:
    """Leave out what a class has by its kind, and no text of its own."""
    is_field = str(value.__doc__).startswith("Alias for field")
    return True if is_field or name == "carry_type" else None


def _shorter(*event: Any) -> tuple[str | None, str | None]:
    """The signature, with the public name of JAX's arrays."""
    signature, returned = (part and part.replace("jaxlib._jax.", "") for part in event[-2:])
    return signature, returned


def prepared(lines: list[str], path: str = "") -> list[str]:
    """A docstring with a header line for every section, links and escaped asterisks."""
    result, code = [], False
    for block in _blocks(lines):
        code = code and block[0].startswith("    ")
        if not code:
            math = block[0].startswith(".. ")
            block = block if math else [prose(line, path) for line in _section(block)]
        code = code or "".join(block).rstrip().endswith("::")
        result += block
    return result


def prose(line: str, path: str = "") -> str:
    """A line with links to public names; what reStructuredText would read as markup is escaped."""

    def link(match: re.Match[str]) -> str:
        found = public().get(match[1])
        if found is None or path.endswith(found.path):
            return match[0]
        return f":py:obj:`{match[1]} <{found.path}>`"

    parts = re.split(r"(``.*?``|^\*\*\w+:\*\*)", line)
    parts[::2] = [re.sub(r"([*|])", r"\\\1", part) for part in parts[::2]]
    return re.sub(r"``(\w+)``", link, "".join(parts))


def _blocks(lines: list[str]) -> Iterator[list[str]]:
    """Paragraphs, each with the empty lines after it."""
    block: list[str] = []
    for line in lines:
        if block and not block[-1].strip() and line.strip():
            yield block
            block = []
        block.append(line)
    if block:
        yield block


def _section(block: list[str]) -> list[str]:
    first, rest = block[0], block[1:]
    if inside := WITHIN_A_LINE.match(first):
        return [f"**{inside[1]}:** {inside[2]}", *rest]
    if first.startswith("Call: "):
        return [" ".join(line.strip() for line in block).strip(), ""]
    if first.startswith("Raises:"):
        text = "\n".join(block).removeprefix("Raises:")
        text = text if text.startswith("\n") else f"\n   {text}"
        return ["Raises:", *NEXT_ERROR.sub("\n    ", text).split("\n")[1:]]
    if ENTRY.match(first):
        return [part for line in block for part in _definition(line)]
    return block


def _definition(line: str) -> list[str]:
    """A line of entries ``name: text`` as one of a definition list."""
    entry = ENTRY.match(line)
    return [f"``{entry[1]}``", f"    {entry[2]}"] if entry else [line.removeprefix("    ")]
