"""The code in the pages of the documentation runs, from the first block of a page to the last."""

import re
from pathlib import Path

import pytest

from tests.kit import cases

DOCS = Path(__file__).parents[2] / "docs"
PAGES = [
    *(
        DOCS / f"{name}.md"
        for name in ("your_own_cell", "sequences", "scans", "analysis", "lessons", "torch")
    ),
    *sorted((DOCS / "cells").glob("*.md")),
]


@cases("page", PAGES, ids=lambda page: page.stem, short=3)
def test_the_code_of_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if page.stem in ("lessons", "torch"):
        pytest.importorskip("torch")
    text, names = page.read_text(), {"__name__": "__main__"}
    blocks = [*re.finditer(r"^```python\n(.*?)^```", text, re.M | re.S)]
    assert blocks
    for block in blocks:
        above = "\n" * (text[: block.start()].count("\n") + 1)
        exec(compile(above + block[1], str(page), "exec"), names)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_of_a_page_lead_to_files(page):
    for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / link).exists(), link
