"""Writes the notebook of every lesson into the site, as notebooks/LESSON.ipynb."""

import json
from pathlib import Path

from sphinx.application import Sphinx

from docs.extensions.notebook import TUTORIAL, notebook
from rnn_lecture.lessons import LESSONS

__all__ = ["setup"]


def _write(app: Sphinx, error: Exception | None) -> None:
    if error is not None or app.builder.format != "html":
        return
    folder = Path(app.outdir) / "notebooks"
    folder.mkdir(exist_ok=True)
    for lesson in LESSONS:
        if (TUTORIAL / f"{lesson}.md").exists():
            text = json.dumps(notebook(lesson), indent=1, ensure_ascii=False)
            (folder / f"{lesson}.ipynb").write_text(text + "\n", "utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("build-finished", _write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
