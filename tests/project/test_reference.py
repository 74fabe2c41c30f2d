"""Every public name has a docstring and an example, which runs as the reference shows it."""

import re
import runpy

import pytest

from docs.extensions.public import EXAMPLES, public
from jax_rnn import data
from jax_rnn.data import files, names
from tests.kit import cases

pytest.importorskip("torch")

FIRST = ("Zoneout", "LSTM", "Newton", "Vocabulary", "Run", "CellExamError")
DATA = ("fetch", "fetch_names", "read_names", "Names", "NameRows")
"""Their examples read data sets of the lecture."""
EXTRAS = {"equinox": "equinox", "haiku": "haiku"}


@cases(
    "found",
    sorted(public().values(), key=lambda found: found.name not in FIRST),
    ids=lambda found: found.path,
    short=len(FIRST),
)
def test_the_example_of_a_name_runs(found, request, tmp_path, monkeypatch):
    assert found.example.exists(), "write an example: see CONTRIBUTING.md"
    text = found.example.read_text("utf-8")
    imported = rf"^from {found.namespace} import .*\b{found.name}\b"
    assert re.search(rf"{imported}|\binitializers\.{found.name}\b", text, re.M)
    if found.name in DATA:
        request.getfixturevalue("little_data")
        for name in ("fetch", "fetch_names"):  # of the names, as ``little_data`` replaced them
            place = names if name == "fetch_names" else files
            monkeypatch.setattr(data, name, getattr(place, name))
    for word, module in EXTRAS.items():
        if word in found.name:
            pytest.importorskip(module)
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(found.example), run_name="__main__")
    assert not [*tmp_path.iterdir()], "it leaves files in the working directory"


@pytest.mark.parametrize(
    "found", [f for f in public().values() if f.kind != "data"], ids=lambda found: found.path
)
def test_a_name_has_a_docstring(found):
    assert found.value.__doc__


def test_every_example_belongs_to_a_public_name():
    assert {path.stem for path in EXAMPLES.iterdir()} <= {found.path for found in public().values()}
