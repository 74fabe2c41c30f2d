"""A page for every public name and for every namespace, in reference/api, made before each build.

A page has the docstring, an example that the tests run, what it refers to and the guides that use
it. Nothing of it is written by hand but the docstring and the example.
"""

import inspect
import re
import sys
from typing import Any

from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer

from docs.extensions.docstrings import prepared, prose
from docs.extensions.files import ROOT
from docs.extensions.public import NAMESPACES, Public, names_of, public

__all__ = ["page", "setup"]

DOCS = ROOT / "docs"
API = DOCS / "reference" / "api"

TITLES = {
    "jax_rnn": "layers, cells, training and conversion",
    "jax_rnn.cells": "all cells",
    "jax_rnn.layers": "layers and what they read",
    "jax_rnn.scans": "a cell over time",
    "jax_rnn.train": "training and run folders",
    "jax_rnn.data": "batches, texts and data sets",
    "jax_rnn.interop": "weights in and out",
    "jax_rnn.testing": "checks of cells, scans and pairs of models",
    "jax_rnn.analysis": "what happens inside a cell",
    "jax_rnn.probes": "tasks that tell cells apart",
    "jax_rnn.initializers": "initial values",
}

IMPORTED = {"jax_rnn.initializers": "Import it as ``from jax_rnn import initializers``."}


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("builder-inited", _write_all)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _write_all(_: Any) -> None:
    pages = {found.path: page(found) for found in public().values()}
    pages |= {f"{namespace}-": _namespace(namespace) for namespace in NAMESPACES}
    API.mkdir(exist_ok=True)
    for path in API.glob("*.rst"):
        if path.stem not in pages:
            path.unlink()
    for name, text in pages.items():
        path = API / f"{name}.rst"
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")


def page(found: Public) -> str:
    """The page of a public name, in reStructuredText."""
    parts = [_heading(found.name, "="), f".. currentmodule:: {found.namespace}"]
    parts.append(_object(found))
    if found.others:
        others = ", ".join(f"``{name}.{found.name}``" for name in found.others)
        parts.append(f"Also {others}.")
    if found.example.exists():
        parts.append(_heading("Example", "-"))
        parts.append(f".. literalinclude:: ../examples/{found.example.name}\n   :language: python")
    if links := [*_mentioned(found), *_guides(found)]:
        parts.append(_heading("See also", "-"))
        parts.append("\n".join(f"- {link}" for link in links))
    return "\n\n".join(parts) + "\n"


def _object(found: Public) -> str:
    if found.kind == "data":
        text = prepared(documentation(found).split("\n"))
        return "\n".join([f".. py:data:: {found.name}", "", *(f"   {line}" for line in text)])
    lines = [f".. auto{found.kind}:: {found.name}"]
    if found.kind == "class":
        lines += ["   :members:", "   :show-inheritance:"]
    return "\n".join(lines)


def documentation(found: Public) -> str:
    """The docstring; of a constant, the string after its definition."""
    if found.kind != "data":
        return inspect.getdoc(found.value) or ""
    for module, names in [*sys.modules.items()]:
        if module.startswith("jax_rnn.") and vars(names).get(found.name) is found.value:
            text = ModuleAnalyzer.for_module(module).find_attr_docs().get(("", found.name))
            if text:
                return "\n".join(text)
    return ""


def summary(found: Public) -> str:
    """The first paragraph of the docstring."""
    return " ".join(documentation(found).split("\n\n")[0].split())


def _namespace(namespace: str) -> str:
    """The names of a namespace, with what they are, and the pages that are its own."""
    known = public()
    rows = [known[name] for name in names_of(namespace)]
    table = [".. list-table::", "   :widths: 30 70", ""]
    for found in rows:
        table.append(f"   * - :py:obj:`{found.name} <{found.path}>`")
        table.append(f"     - {prose(summary(found))}")
    own = [found.path for found in rows if found.namespace == namespace]
    tree = [".. toctree::", "   :hidden:", "", *(f"   {path}" for path in own)]
    title = f"{namespace}: {TITLES[namespace]}"
    parts = [_heading(title, "="), IMPORTED.get(namespace, ""), "\n".join(table), "\n".join(tree)]
    return "\n\n".join(filter(None, parts)) + "\n"


def _heading(text: str, line: str) -> str:
    return f"{text}\n{line * len(text)}"


def _mentioned(found: Public) -> list[str]:
    """Links to the public names in the docstring and in the example."""
    known = public()
    names = set(re.findall(r"``(\w+)``", documentation(found)))
    if found.example.exists():
        imports = re.findall(r"^from jax_rnn\S* import (.+)", found.example.read_text(), re.M)
        names |= {name.strip() for line in imports for name in line.split(",")}
    names = sorted(names & {*known} - {found.name})
    return [f":py:obj:`{name} <{known[name].path}>`" for name in names]


def _guides(found: Public) -> list[str]:
    """Links to the pages, written by hand, that name it."""
    links = []
    for path in sorted(DOCS.rglob("*.md")):
        text = path.read_text("utf-8")
        if re.search(rf"`{found.name}\b|import [^\n]*\b{found.name}\b", text):
            links.append(f":doc:`/{path.relative_to(DOCS).with_suffix('').as_posix()}`")
    return links
