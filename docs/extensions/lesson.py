"""Directives that put parts of a lesson into a page, from its files and from its outputs.

Each has the name of a lesson as its argument:

    lesson-slide          the slide, the question and the files
    lesson-source         both programs, in tabs; `:objects: Model loss` shows only these parts
    lesson-output         what both print, in tabs
    lesson-difference     how far the two are apart, with plots
    lesson-answer         what the lesson shows
"""

import ast
import re
from collections.abc import Iterator, Mapping
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from docs.extensions.lesson_runs import LessonRun, file_of, run_of
from docs.extensions.repository import ROOT, address_of
from jax_rnn.lecture.lessons import load

__all__ = ["path_of", "setup", "tabs"]

FRAMEWORKS = {"jax": "JAX", "torch": "PyTorch"}
FOLDERS = {"jax": "jax_rnn/lecture/lessons", "torch": "reference_torch"}
FIRST, LAST = 3, 2
"""Numbers of epochs shown of an output, at its beginning and at its end."""


def path_of(lesson: str, framework: str) -> str:
    """The file of a lesson, relative to the repository."""
    return f"{FOLDERS[framework]}/{lesson}.py"


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
        files = (
            f"[{title}]({address_of(ROOT / path_of(lesson, framework))})"
            for framework, title in FRAMEWORKS.items()
        )
        lines = [
            ":::{div} lesson-slide",
            f"**On the slides: {load(lesson).slide}**",
            f"{self.question(lesson)}",
            f"{{.lesson-files}}\nProgram: {' · '.join(files)}",
            ":::",
        ]
        return "\n\n".join(lines)

    def question(self, lesson: str) -> str:
        """The first sentence of the program, without the title of the slide."""
        path = ROOT / path_of(lesson, "jax")
        self.env.note_dependency(path)
        said = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
        text = " ".join(said.split("\n\n")[0].split())
        return re.sub(r"^Exercise [\d-]+: (.)", lambda found: found[1].upper(), text)


class Source(LessonDirective):
    option_spec: ClassVar = {"objects": directives.unchanged}

    def markdown(self, lesson: str) -> str:
        parts = self.options.get("objects", "").split()
        options = [f":pyobject: {part}\n" for part in parts] or [""]
        return tabs(
            {
                framework: "\n".join(
                    f"```{{literalinclude}} /../{path_of(lesson, framework)}\n{option}```\n"
                    for option in options
                )
                for framework in FRAMEWORKS
            }
        )


class Output(LessonDirective):
    def markdown(self, lesson: str) -> str:
        found = self.outputs(lesson)
        if found.missing:
            return f":::{{note}}\n{NOT_RUN}\n:::\n"
        return tabs(
            {
                framework: f"```console\n$ {command}\n{shortened(found.printed[framework])}\n```"
                for framework, command in found.commands.items()
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
        yield f"their outputs differ by at most {gaps['output']:.1e}, their states by at most"
        yield f"{gaps['hidden']:.1e}."
        return
    steps, unit = compared["steps"], compared["unit"]
    yield f"over {steps} {unit}s the losses differ by at most"
    yield f"{compared['max_abs_loss_difference']:.1e} and the weights at the end by"
    yield f"{compared['max_abs_weight_difference']:.1e}."
    equal = compared["predictions_equal"]
    if compared["target"] is not None:
        yield f"The predicted strings are equal at {equal} of {steps} epochs."


class Answer(LessonDirective):
    def markdown(self, lesson: str) -> str:
        return f":::{{admonition}} What it shows\n:class: tip\n\n{load(lesson).teaches}\n:::\n"


def setup(app: Sphinx) -> dict[str, bool]:
    for kind in (Slide, Source, Output, Difference, Answer):
        app.add_directive(f"lesson-{kind.__name__.lower()}", kind)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
