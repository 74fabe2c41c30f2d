"""`as-on-slide`: a mistake of the slides, as code, and how it fails today.

The argument is a file of reference_torch/as_on_slide, the content one or more lines of Python,
which run in the namespace of that file while the page is read; the page shows what they print, or
their error:

    ```{as-on-slide} hidden_order
    outputs(batch=3)
    ```
"""

import ast
import traceback
import warnings
from contextlib import redirect_stdout
from importlib import import_module
from io import StringIO

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from docs.extensions.files import ROOT, address_of

__all__ = ["session", "setup"]

FOLDER = "reference_torch/as_on_slide"


class AsOnSlide(SphinxDirective):
    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        path = f"{FOLDER}/{name}.py"
        module = ast.parse((ROOT / path).read_text("utf-8"))
        title, *said = (ast.get_docstring(module) or "").split("\n\n")
        names = vars(import_module(path.removesuffix(".py").replace("/", ".")))
        blocks = [
            f"::::{{admonition}} {title}",
            ":class: caution as-on-slide",
            "",
            *(f"{paragraph}\n" for paragraph in said),
            f"```{{literalinclude}} /../{path}",
            f":lines: {_lines_of_docstring(module) + 2}-",
            "```",
            "```pycon",
            session(list(self.content), dict(names)),
            "```",
            f"[{path}]({address_of(ROOT / path)})",
            "::::",
        ]
        return self.parse_text_to_nodes("\n".join(blocks))


def _lines_of_docstring(module: ast.Module) -> int:
    return module.body[0].end_lineno or 0


def session(lines: list[str], names: dict) -> str:
    """The lines at Python's prompt, each followed by what it prints, warns of or raises."""
    return "\n".join(f">>> {line}\n{_answer(line, names)}".rstrip() for line in lines)


def _answer(line: str, names: dict) -> str:
    with (
        redirect_stdout(StringIO()) as printed,
        warnings.catch_warnings(record=True) as warned,
    ):
        warnings.simplefilter("always")
        try:
            exec(compile(line, "<as on the slide>", "single"), names)
        except Exception as error:
            print("".join(traceback.format_exception_only(error)))
    said = [f"{found.category.__name__}: {found.message}" for found in warned]
    return "\n".join([*said, printed.getvalue()])


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("as-on-slide", AsOnSlide)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
