"""Directives that put parts of a lesson into a page, from its files and from its outputs.

Each has the name of a lesson as its argument:

    lesson-slide          the slide, the question and the files
    lesson-source         both programs, in tabs; `:objects: Model loss` shows only these parts
    lesson-output         what both print, in tabs
    lesson-difference     how far the two are apart, with plots
    lesson-answer         what the lesson shows
"""

import re
from collections.abc import Iterator, Mapping
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from docs.extensions.files import FRAMEWORKS, ROOT, address_of, path_of, question_of
from docs.extensions.lesson_runs import LessonRun, file_of, run_of
from docs.extensions.uses import used_by
from jax_rnn.lecture.lessons import load

__all__ = ["setup"]

FIRST, LAST = 3, 2
"""Numbers of epochs shown of an output, at its beginning and at its end."""


def tabs(contents: Mapping[str, str]) -> str:
    """A tab for each framework; all tabs of a page, and of the next page, switch together."""
    items = (
        f"::::{{tab-item}} {FRAMEWORKS[framework]}\n:sync: {framework}\n\n{text}\n::::\n"
        for framework, text in contents.items()
    )
    return f":::::{{tab-set}}\n:sync-group: framework\n\n{''.join(items)}:::::\n"


class LessonDirective(SphinxDirective):
    """A directive that stands for Markdown about a lesson."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        return self.parse_text_to_nodes(self.markdown(self.arguments[0]))

    def markdown(self, lesson: str) -> str:
        raise NotImplementedError

    def outputs(self, lesson: str) -> LessonRun:
        """The outputs of the programs; the page is read again if they change."""
        self.env.note_dependency(file_of(lesson))
        return run_of(lesson)


class Slide(LessonDirective):
    def markdown(self, lesson: str) -> str:
        self.env.note_dependency(path_of(lesson, "jax"))
        files = (
            f"[{title}]({address_of(path_of(lesson, framework))})"
            for framework, title in FRAMEWORKS.items()
        )
        used = (f"{{py:obj}}`~jax_rnn.{name}`" for name in used_by(lesson))
        lines = [
            ":::{div} lesson-slide",
            f"**On the slides: {load(lesson).slide}**",
            question_of(lesson),
            f"Program: {' · '.join(files)} · {NOTEBOOK.format(lesson=lesson)}",
            f"Uses of `jax_rnn`: {', '.join(used)}",
            ":::",
        ]
        return "\n\n".join(lines)


NOTEBOOK = '<a href="../notebooks/{lesson}.ipynb" download>notebook</a>'


class Source(LessonDirective):
    option_spec: ClassVar = {"objects": directives.unchanged}

    def markdown(self, lesson: str) -> str:
        parts = self.options.get("objects", "").split()
        options = [f":pyobject: {part}\n" for part in parts] or [""]
        paths = {framework: path_of(lesson, framework) for framework in FRAMEWORKS}
        return tabs(
            {
                framework: "\n".join(
                    f"```{{literalinclude}} /../{path.relative_to(ROOT)}\n{option}```\n"
                    for option in options
                )
                for framework, path in paths.items()
            }
        )


class Output(LessonDirective):
    def markdown(self, lesson: str) -> str:
        found = self.outputs(lesson)
        if found.missing:
            return f":::{{note}}\n{NOT_RUN}\n:::\n"
        return tabs(
            {
                framework: f"```console\n{shortened(text)}\n```"
                for framework, text in found.printed.items()
            }
        )


NOT_RUN = (
    "This page was built without the data set of the lesson, so that the outputs of the programs "
    "are missing. The commands below download the data once."
)


def shortened(text: str) -> str:
    """An output without most of its epochs."""
    epochs = [*re.finditer(r"^epoch: \d+, .*\nPredicted string: .*\n", text, re.M)]
    if len(epochs) <= FIRST + LAST:
        return text.rstrip()
    return f"{text[: epochs[FIRST].start()]}...\n{text[epochs[-LAST].start() :]}".rstrip()


class Difference(LessonDirective):
    def markdown(self, lesson: str) -> str:
        found = self.outputs(lesson)
        if found.missing:
            return ""
        figures = "\n".join(
            f'<figure role="img" aria-label="{ABOUT[kind]}">{svg}</figure>'
            for kind, svg in found.figures.items()
        )
        shown = f'```{{raw}} html\n<div class="lesson-figures">\n{figures}\n</div>\n```\n'
        return f"{' '.join(_differences(found))}\n\n{shown if figures else ''}"


ABOUT = {
    "loss": "The losses of both programs by step, on top of each other",
    "difference": "The difference of the two losses by step, on a logarithmic axis",
}


def _differences(found: LessonRun) -> Iterator[str]:
    compared = found.compared
    yield (
        f"`jax-rnn compare` draws the weights in PyTorch, with seed {compared['seed']}, and loads "
        "them into both programs. In float64,"
    )
    if not compared["steps"]:
        gaps = compared["max_abs_value_difference"]
        yield f"their outputs differ by at most {_number(gaps['output'])}, their states by at most"
        yield f"{_number(gaps['hidden'])}."
        return
    steps, unit = compared["steps"], compared["unit"]
    yield f"over {steps} {unit}s the losses differ by at most"
    yield f"{_number(compared['max_abs_loss_difference'])} and the weights at the end by"
    yield f"{_number(compared['max_abs_weight_difference'])}."
    equal = compared["predictions_equal"]
    if compared["target"] is not None:
        yield f"The predicted strings are equal at {equal} of {steps} epochs."


def _number(value: float) -> str:
    """A number as an equation, which no line break divides."""
    digits, exponent = f"{value:.1e}".split("e")
    return f"${digits} \\cdot 10^{{{int(exponent)}}}$" if value else "0"


class Answer(LessonDirective):
    def markdown(self, lesson: str) -> str:
        return f":::{{admonition}} What it shows\n:class: tip\n\n{load(lesson).teaches}\n:::\n"


def setup(app: Sphinx) -> dict[str, bool]:
    for kind in (Slide, Source, Output, Difference, Answer):
        app.add_directive(f"lesson-{kind.__name__.lower()}", kind)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
