"""What the two programs of a lesson print, and how far they differ.

All lessons run before the pages are read, two at a time. Results are kept in build/lessons under a
hash of all sources, so that a build runs them only after a change.
"""

import hashlib
import json
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import chdir, redirect_stdout
from dataclasses import asdict, dataclass, field
from functools import cache
from io import StringIO
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sphinx.application import Sphinx
from sphinx.util.display import status_iterator

from docs.extensions.files import ROOT
from rnn_lecture.lessons import DATA_SETS, LESSONS

__all__ = ["LessonRun", "file_of", "run", "run_of", "setup"]

STEPS = {
    "names": 100,
    "names_generate": 200,
    "char_lm": 100,
    "seq2seq": 200,
    "seq2seq_attention": 200,
}
"""Optimizer steps of the lessons whose whole training takes too long for a build."""
SAMPLED = {
    "names_generate": ("--prompt", "Japanese"),
    "char_lm": ("--prompt", "ROMEO:", "--length", "300"),
}
"""What the JAX program is asked after its training, where it prints no sample."""
COMPARED = 10
"""Optimizer steps of their comparison."""
SEED = 2
"""Of the comparison: the seed of the lessons on words, which reaches the slide's target."""
FOLDER = ROOT / "build" / "lessons"
DATA = ROOT.parent / "shared" / "data"
"""Where the tests look for the data sets too; without it, they are in a cache or downloaded."""

ENVIRONMENT = {
    "JAX_PLATFORMS": "cpu",
    "JAX_COMPILATION_CACHE_DIR": str(ROOT / "build" / "compiled"),
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false --xla_backend_optimization_level=0 "
    "--xla_cpu_parallel_codegen_split_count=1",
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
} | ({"JAX_RNN_DATA": str(DATA)} if DATA.is_dir() else {})
"""Of the two processes, which share two cores and spend most of their time on compilation."""


@dataclass(frozen=True)
class LessonRun:
    """The outputs of a lesson.

    Attributes:
        printed: ``{"jax": ..., "torch": ...}``, command lines and what they print.
        compared: fields of the ``Comparison`` in float64.
        figures: SVG elements of the losses and of their difference; empty without training.
        missing: why it could not run; empty if it did.
    """

    printed: dict[str, str] = field(default_factory=dict)
    compared: dict[str, Any] = field(default_factory=dict)
    figures: dict[str, str] = field(default_factory=dict)
    missing: str = ""


def run(name: str) -> LessonRun:
    """Run both programs, and compare them from the same weights."""
    from jax_rnn.app import cli
    from jax_rnn.lecture.lessons import load
    from reference_torch import __main__ as reference

    lesson = load(name)
    steps = ["--steps", str(STEPS[name])] if name in STEPS else []
    out = ["--out", f"runs/{name}"] if name in STEPS else []
    ours = [["train", name, *steps, *out]]
    if name in SAMPLED:
        ours.append(["sample", f"runs/{name}", *SAMPLED[name]])
    try:
        if lesson.trained:
            lesson.read(lesson.recipe)
    except OSError as error:  # no network and no copy of the data
        return LessonRun(missing=str(error))
    printed = {
        "jax": _printed("jax-rnn", cli.main, ours),
        "torch": _printed("python -m reference_torch", reference.main, [[name, *steps]]),
    }
    return LessonRun(printed, *_compared(name))


def _printed(program: str, main: Callable[[list[str]], Any], calls: list[list[str]]) -> str:
    """The command lines and what they print, one after another in an empty folder."""
    with TemporaryDirectory() as folder, chdir(folder), redirect_stdout(StringIO()) as output:
        for words in calls:
            print("$", program, *words)
            main(words)
            print()
    return output.getvalue().rstrip()


def _compared(name: str) -> tuple[dict[str, Any], dict[str, str]]:
    from jax_rnn.base.figures import inline_svg
    from jax_rnn.lecture.compare.parity import compare
    from jax_rnn.lecture.compare.plots import difference_figure, loss_figure

    steps = COMPARED if name in STEPS else None
    found = compare(name, seed=SEED, steps=steps, dtype="float64")
    shown = (
        "seed",
        "steps",
        "unit",
        "target",
        "max_abs_loss_difference",
        "max_abs_weight_difference",
        "max_abs_value_difference",
        "predictions_equal",
    )
    figures = {"loss": loss_figure, "difference": difference_figure} if found.steps else {}
    return {attribute: getattr(found, attribute) for attribute in shown}, {
        kind: inline_svg(plot(found), f"{name}-{kind}-") for kind, plot in figures.items()
    }


def file_of(name: str) -> Path:
    """The file that keeps the outputs of a lesson for the sources as they are."""
    return FOLDER / f"{name}-{_sources()}.json"


def run_of(name: str) -> LessonRun:
    """The outputs of a lesson that has run."""
    return LessonRun(**json.loads(file_of(name).read_text("utf-8")))


@cache
def _sources() -> str:
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for folder in ("jax_rnn", "reference_torch", "rnn_lecture"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _is_kept(name: str) -> bool:
    return file_of(name).exists() and not run_of(name).missing


def _run_and_keep(name: str) -> None:
    found = json.dumps(asdict(run(name)))
    for old in FOLDER.glob(f"{name}-{'?' * 16}.json"):
        old.unlink()
    file_of(name).write_text(found, "utf-8")


def _run_all(app: Sphinx) -> None:
    """Run the lessons whose outputs are not kept, the longest first."""
    names = [name for name in dict.fromkeys((*DATA_SETS, *LESSONS)) if not _is_kept(name)]
    if not names:
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    for variable, value in ENVIRONMENT.items():
        os.environ.setdefault(variable, value)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        done = pool.map(_run_and_keep, names)
        for _ in status_iterator(names, "running lessons... ", length=len(names)):
            next(done)


def setup(app: Sphinx) -> dict[str, bool]:
    _sources.cache_clear()
    app.connect("builder-inited", _run_all)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
