"""The directive ``gallery``: a card for every cell of the catalogue, made from the cells.

A card has the equations of the docstring, the data flow of a step, carry, scans, cost, the
implementations that the cell is compared with, and its results on the probes. The cards can be
sorted by kind and by cost.
"""

import inspect
import json
import re
from functools import cache
from typing import Any

import jax
from docutils import nodes
from flax import nnx
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from docs.extensions.dataflow import dataflow
from docs.extensions.drawing import svg
from docs.extensions.files import ROOT
from docs.extensions.public import public
from jax_rnn.cells.catalogue import CATALOGUE, Entry
from tools.cells import Facts, facts

__all__ = ["setup"]

PROBES = ROOT / "benchmarks" / "results" / "probes.json"
SORTED_BY = {
    "order": "family",
    "kind": "kind",
    "operations": "operations a step",
    "parameters": "parameters",
    "year": "year",
}


class Gallery(SphinxDirective):
    """All cards, and how they are sorted."""

    def run(self) -> list[nodes.Node]:
        options = "".join(f'<option value="{k}">{v}</option>' for k, v in SORTED_BY.items())
        choice = (
            f'<p class="gallery-sort"><label for="gallery-sort">Sort by</label> '
            f'<select id="gallery-sort">{options}</select></p>'
        )
        cards = [self._card(k, *item) for k, item in enumerate(CATALOGUE.items())]
        return [
            _html(f'{choice}<div id="gallery">'),
            *(node for card in cards for node in card),
            _html("</div>"),
        ]

    def _card(self, order: int, name: str, entry: Entry) -> list[nodes.Node]:
        cell_facts = facts(entry)
        data = {
            "order": order,
            "kind": cell_facts.kind,
            "operations": cell_facts.operations,
            "parameters": cell_facts.parameters,
            "year": entry.source[-4:],
        }
        attributes = " ".join(f'data-{key}="{value}"' for key, value in data.items())
        cell = entry.build(4, 4, rngs=nnx.Rngs(0))
        title = f"Data flow of one step of {entry.kind.__name__}"
        return [
            _html(f'<article class="cell-card" {attributes} aria-labelledby="card-{name}">'),
            _heading(name, entry),
            *self._equations(entry),
            _html(f'<div class="flow-frame" tabindex="0">{svg(dataflow(cell), title)}</div>'),
            _table(_rows(name, entry, cell, cell_facts)),
            _html("</article>"),
        ]

    def _equations(self, entry: Entry) -> list[nodes.Node]:
        text = inspect.getdoc(entry.kind) or ""
        block = re.search(r"\.\. math::\n\n?((?: +.*\n|\n)+)", text)
        if block is None:
            return []
        equations = inspect.cleandoc(block[1]).strip()
        node = nodes.math_block(equations, equations, nowrap=False, number=None, label=None)
        node["docname"] = self.env.docname
        return [node]


def _heading(name: str, entry: Entry) -> nodes.Node:
    """The cell as a link to its page, and what it is."""
    found = public()[entry.kind.__name__]
    link = pending_xref(
        "",
        nodes.literal("", found.name),
        refdomain="py",
        reftype="obj",
        reftarget=found.path,
        refexplicit=True,
        refwarn=True,
    )
    summary = (inspect.getdoc(entry.kind) or "").split("\n\n")[0].split()
    text = re.sub(r"``", "", " ".join(summary))
    return nodes.paragraph(
        "", "", nodes.strong("", "", link), nodes.Text(f" {text}"), ids=[f"card-{name}"]
    )


def _rows(name: str, entry: Entry, cell: Any, found: Facts) -> dict[str, str]:
    shapes = jax.eval_shape(lambda: cell.initialize_carry(_shape(cell)))
    carry = ", ".join(f"{key} {_letters(leaf.shape)}" for key, leaf in shapes._asdict().items())
    rows = {
        "source": entry.source,
        "kind": found.kind,
        "carry": carry,
        "scans": found.scans,
        "cost": f"{found.short_parameters} parameters, {found.short_operations} operations a step",
        "compared with": entry.oracles,
    }
    if results := _probes().get(name):
        rows["probes"] = ", ".join(f"{task} {score}" for task, score in results.items())
    return rows


def _shape(cell: Any) -> tuple[int, ...]:
    return (3, 5, 4) if cell.num_feature_axes == 3 else (4,)


def _letters(shape: tuple[int, ...]) -> str:
    """The shape of the carry of a cell with H = 4, with the usual letters."""
    letters = {4: "H", 3: "height", 5: "width", 16: "N", 1: "heads"}
    return "(" + ", ".join(letters.get(size, str(size)) for size in shape) + ")"


@cache
def _probes() -> dict[str, dict[str, str]]:
    """Cell -> task -> median score at the length of training, over the seeds."""
    found: dict[str, dict[str, str]] = {}
    for result in json.loads(PROBES.read_text("utf-8"))["results"]:
        scores = sorted(next(iter(result["scores"].values())))
        median = scores[len(scores) // 2]
        found.setdefault(result["cell"], {})[result["task"]] = f"{median:.3g}"
    return found


def _table(rows: dict[str, str]) -> nodes.Node:
    terms = "".join(f"<div><dt>{key}</dt><dd>{value}</dd></div>" for key, value in rows.items())
    return _html(f'<dl class="cell-facts">{terms}</dl>')


def _html(text: str) -> nodes.Node:
    return nodes.raw("", text, format="html")


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("gallery", Gallery)
    app.add_js_file("gallery.js")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
