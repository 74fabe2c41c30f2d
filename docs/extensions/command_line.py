"""The directive ``command-line``: what ``--help`` of every command prints."""

import io
from contextlib import redirect_stdout
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from jax_rnn.app.cli import COMMANDS, main

__all__ = ["help_of", "setup"]

LESSONS = ("ihello", "char_lm")
"""Lessons whose options of ``train`` are shown: one on a word, one on a data set."""


class CommandLine(SphinxDirective):
    """A section for each command."""

    def run(self) -> list[nodes.Node]:
        commands = [(), *((name,) for name in COMMANDS), *(("train", name) for name in LESSONS)]
        return [_section(command) for command in commands]


def _section(command: tuple[str, ...]) -> nodes.Node:
    title = " ".join(("jax-rnn", *command))
    section = nodes.section(ids=[nodes.make_id(title)], names=[title])
    section += nodes.title("", title)
    text = help_of(*command)
    section += nodes.literal_block(text, text, language="text")
    return section


def help_of(*command: str) -> str:
    """What a command prints for ``--help``."""
    output = io.StringIO()
    with redirect_stdout(output):
        try:
            main([*command, "--help"])
        except SystemExit as end:
            assert not end.code, command
    return output.getvalue().rstrip()


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("command-line", CommandLine)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
