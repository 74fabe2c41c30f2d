"""The notebooks of the tutorial are valid, and all of their cells run."""

import re

import pytest

pytest.importorskip("torch")
pytest.importorskip("matplotlib")

from docs.extensions import notebook
from jax_rnn.data import files
from jax_rnn.lecture.lessons import LESSONS
from reference_torch.teaching.lesson import DataSetLesson
from tests.kit import long

INSTALL, *_ = notebook.notebook("cell")["cells"]


@pytest.mark.parametrize("lesson", LESSONS)
def test_a_notebook_has_the_text_and_the_programs_of_its_page(lesson):
    made = notebook.notebook(lesson)
    cells = made["cells"]
    assert (made["nbformat"], made["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in cells}) == len(cells)
    text = "\n".join(cell["source"] for cell in cells)
    title = (notebook.TUTORIAL / f"{lesson}.md").read_text("utf-8").splitlines()[0]
    assert cells[0]["source"] == INSTALL["source"] and cells[1]["source"].startswith(title)
    for framework in notebook.FRAMEWORKS:
        assert notebook.path_of(lesson, framework).read_text("utf-8").strip() in text
    prose = "\n".join(c["source"] for c in cells if c["cell_type"] == "markdown")
    assert not re.search(r"^(:::|```\{)|\]\((?!https://|#)", prose, re.M)


@long
@pytest.mark.parametrize("lesson", LESSONS)
def test_the_cells_of_a_notebook_run(lesson, tmp_path, monkeypatch, little_data):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(notebook, "STEPS", 2)
    monkeypatch.setattr(notebook, "COMPARED", 2)
    if lesson == "char_lm":  # whose batches are larger than the little text
        (tmp_path / "text.txt").write_text("abcde fgh\n" * 400)
        monkeypatch.setattr(files, "fetch", lambda name: tmp_path / "text.txt")
    # the examples have letters that the little data has not
    monkeypatch.setattr(DataSetLesson, "report", lambda *_: ())
    names = {"__name__": "__main__"}
    for cell in notebook.notebook(lesson)["cells"][1:]:
        if cell["cell_type"] == "code":
            exec(compile(cell["source"], f"{lesson}.ipynb", "exec"), names)
    assert names["compared"].max_abs_value_difference["output"] < 1e-12
