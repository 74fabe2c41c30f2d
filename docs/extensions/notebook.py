"""A page of the tutorial as a Jupyter notebook: its prose, and its programs as cells that run.

The notebook is made of the page and of the files that the page inserts. A directive becomes a cell
or several, a link leads to GitHub, and what the build has printed is left out, since the cells
print it. Jupyter's format is JSON, so nothing but Python is needed.
"""

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docs.extensions.files import ADDRESS, FRAMEWORKS, ROOT, address_of, path_of, question_of
from jax_rnn.lecture.lessons import load

__all__ = ["TUTORIAL", "notebook"]

TUTORIAL = ROOT / "docs" / "tutorial"
STEPS, COMPARED = 200, 10
"""Optimizer steps, of a training and of a comparison, of a lesson on a data set."""

INSTALL = f"""\
try:
    import jax_rnn
except ModuleNotFoundError:
    %pip install --quiet "jax-rnn[torch,plot] @ git+{ADDRESS}"
"""

SHOW = """\
model = lesson.initialize(lesson.recipe.seed)
print(*lesson.forward(model), *lesson.explain(model), sep="\\n")
"""
TRAIN = """\
from pathlib import Path

from rnn_lecture.recipe import with_steps

recipe = with_steps(lesson.recipe, {steps})
data = lesson.read(recipe)
model = lesson.initialize(recipe.seed, recipe, data.vocabulary)
history = lesson.fit(model, recipe, data)
model.eval()
print("first and last loss:", history.loss[0], history.loss[-1])
print(*list(lesson.steps(history))[-5:], *lesson.report(model, data, Path()), sep="\\n")
"""
RUN_TORCH = """\
from reference_torch.__main__ import run
from rnn_lecture.recipe import with_steps

run(lesson, with_steps(lesson.recipe, {steps}))
"""
COMPARE = """\
from jax_rnn.lecture.compare.parity import compare

compared = compare("{lesson}", seed=2, steps={steps}, dtype="float64")
print("largest difference of the outputs:", compared.max_abs_value_difference["output"])
print("largest difference of the losses:", compared.max_abs_loss_difference)
"""
PLOT = """\
from jax_rnn.lecture.compare.plots import comparison_figure

comparison_figure([compared])
"""
MISTAKE = """\
try:
    {line}
except Exception as error:
    print(type(error).__name__, error)
"""

Cell = dict[str, Any]
DIRECTIVE = re.compile(r"^```\{([\w-]+)\} (\w+)\n((?:.*\n)*?)```\n", re.M)


def notebook(lesson: str) -> dict[str, Any]:
    """The notebook of a lesson, in version 4.5 of Jupyter's format."""
    text = (TUTORIAL / f"{lesson}.md").read_text("utf-8")
    cells = [_code(INSTALL), *_cells(text)]
    for number, cell in enumerate(cells):
        cell["id"] = f"{lesson}-{number}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def _cells(text: str) -> Iterator[Cell]:
    """The page in its order: prose, and the cells of its directives."""
    found = [*DIRECTIVE.finditer(text)]
    programs = [part for part in found if part[1] == "lesson-source"]
    end = 0
    for part in found:
        yield from _prose(text[end : part.start()])
        if part[1] != "lesson-source" or part is programs[-1]:
            yield from _of_directive(*part.groups())
        end = part.end()
    yield from _prose(text[end:])


def _of_directive(kind: str, name: str, content: str) -> Iterator[Cell]:
    match kind:
        case "lesson-slide":
            yield _markdown(f"> {question_of(name)}")
        case "lesson-source":
            yield from _programs(name)
        case "lesson-difference":
            lesson = load(name)
            yield _code(
                COMPARE.format(lesson=name, steps=COMPARED if lesson.holds_out else None),
                *([PLOT] if lesson.trained else []),
            )
        case "lesson-answer":
            yield _markdown(f"**What it shows:** {load(name).teaches}")
        case "as-on-slide":
            yield from _mistake(name, content)


def _programs(name: str) -> Iterator[Cell]:
    """Both programs, each followed by a cell that runs it."""
    lesson = load(name)
    steps = STEPS if lesson.holds_out else None
    run = TRAIN.format(steps=steps) if lesson.trained else SHOW
    for framework, call in (("jax", run), ("torch", RUN_TORCH.format(steps=steps))):
        yield _markdown(f"**{FRAMEWORKS[framework]}**")
        yield _code(path_of(name, framework).read_text("utf-8"))
        yield _code(call)


def _mistake(name: str, content: str) -> Iterator[Cell]:
    """What a slide does, the code, and how it fails."""
    source = (ROOT / "reference_torch" / "as_on_slide" / f"{name}.py").read_text("utf-8")
    yield _markdown(ast.get_docstring(ast.parse(source)) or "")
    *before, last = content.splitlines()
    yield _code(source)
    yield _code("\n".join([*before, MISTAKE.format(line=f"print({last})")]))


def _prose(text: str) -> Iterator[Cell]:
    """A cell of Markdown without what only the site has; none if nothing is left."""
    text = re.sub(r"^:{3,}\{dropdown\} (.*)$", r"### \1", text, flags=re.M)
    text = re.sub(r"^:{3,}$", "", text, flags=re.M)
    text = re.sub(r"(!?)\[([^\]]*)\]\((?!https?:|#)([^)]*)\)", _link, text)
    text = re.sub(r"\n{3,}", "\n\n", text).strip()
    if text:
        yield _markdown(text)


def _link(found: re.Match[str]) -> str:
    """A link of the page, to GitHub; an image is shown from there."""
    path = Path(os.path.normpath(TUTORIAL / found[3].partition("#")[0]))
    return f"{found[1]}[{found[2]}]({address_of(path)}{'?raw=true' if found[1] else ''})"


def _markdown(text: str) -> Cell:
    return {"cell_type": "markdown", "metadata": {}, "source": text}


def _code(*parts: str) -> Cell:
    source = "\n".join(parts).strip()
    return {
        "cell_type": "code",
        "metadata": {},
        "source": source,
        "execution_count": None,
        "outputs": [],
    }
