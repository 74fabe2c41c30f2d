"""What is measured on a GPU or TPU: the whole path, with the CPU in place of the device."""

import json
from types import SimpleNamespace

import pytest

from benchmarks import __main__ as benchmarks
from benchmarks.device import outcome
from benchmarks.peers import builders
from benchmarks.rows import FLASHRNN, NAMES, settings, shape_name
from benchmarks.tables import tables
from jax_rnn.bench.pytorch import pytorch
from tests.kit import long

pytest.importorskip("torch")

REPORT = """<?xml version="1.0"?><testsuites><testsuite tests="4">
<testcase classname="tests.a" name="passes" time="1.5"/>
<testcase classname="tests.a" name="fails" time="1">
<failure message="expected&#10; 1">long</failure></testcase>
<testcase classname="tests.b" name="breaks" time="0">
<error message="no file">long</error></testcase>
<testcase classname="tests.b" name="waits" time="0"><skipped message="no torch"/></testcase>
</testsuite></testsuites>"""


def test_tests_on_a_device_are_counted_and_failures_named(tmp_path):
    path = tmp_path / "tests.xml"
    path.write_text(REPORT)
    assert outcome(path) == {
        "passed": 1,
        "failed": 2,
        "skipped": 1,
        "seconds": 2.5,
        "failures": {"tests.a::fails": "expected 1", "tests.b::breaks": "no file"},
    }


def test_rows_and_libraries_of_a_device():
    flash = shape_name(FLASHRNN)
    with pytest.raises(ValueError, match=f"got '{flash}'"):
        list(settings([flash], ("LSTM",)))
    on_gpu = list(settings([flash], ("LSTM",), "gpu"))
    assert [setting.precision for setting in on_gpu] == ["float32", "tf32", "bfloat16", "float16"]
    on_tpu = list(settings((*NAMES, flash), ("LSTM",), "tpu"))
    assert {setting.precision for setting in on_tpu} == {"float32", "bfloat16"}
    assert "torch" not in builders(on_tpu[0], ["torch", "haiku"], "tpu")
    assert builders(on_gpu[0], ["torch"], "gpu")["torch"].keywords == {"device": "cuda"}
    assert builders(on_gpu[0], ["torch"], "gpu", pretend=True)["torch"] is pytorch


def test_the_ceiling_of_a_row_is_that_of_its_precision():
    entry = {"median": 1, "us_per_step": 1, "gflops": 3, "first_seconds": 1}
    rows = [
        {"setting": vars(setting), "entries": {"forward": {"jax_rnn": entry}}, "notes": {}}
        for setting in settings(["1,6,5,5"], ("GRU",), "tpu")
    ]
    result = {"rows": rows, "ceiling": {"jax": 4.0, "jax bfloat16": 12.0}, "summary": {}}
    (_, full, half) = tables(result)["Layers"]
    assert full[5] == "75%" and half[5] == "25%"


@pytest.fixture
def quick(monkeypatch, tmp_path):
    """The words of a command that takes a minute, and its folder."""
    text = tmp_path / "text.txt"
    text.write_text("ROMEO: to be or not to be, that is the question.\n" * 60)
    words = "--pretend --quick --rows 1,6,5,5 --kinds RNN --passes forward --peers torch"
    words += f" --seconds 0.01 --steps 2 --text {text} --out {tmp_path / 'out'}"
    counted = "tests/benchmarks/test_device.py -n 0 -p no:cacheprovider -k counted"
    return SimpleNamespace(words=[*words.split(), "--tests", counted], folder=tmp_path / "out")


@long
@pytest.mark.parametrize("kind", ["gpu", "tpu"])
def test_the_whole_path_writes_one_folder(quick, kind):
    assert benchmarks.main(["--device", kind, *quick.words]) == 0
    found = {path.name: path for path in quick.folder.iterdir()}
    files = "README.md char_lm.json environment.json speed.json speed.png tests.json"
    assert found.keys() == set(files.split())
    speed, char_lm, tests, environment = (
        json.loads(found[f"{name}.json"].read_text())
        for name in ("speed", "char_lm", "tests", "environment")
    )
    libraries = {"jax_rnn", "torch"} if kind == "gpu" else {"jax_rnn"}
    assert len(speed["rows"]) == (4 if kind == "gpu" else 2)
    for row in speed["rows"]:
        assert row["entries"]["forward"].keys() == libraries
        assert row["refused"] == {}
    assert char_lm["summary"].keys() == ({"jax", "torch"} if kind == "gpu" else {"jax"})
    assert (tests["passed"], tests["failed"]) == (1, 0)
    assert environment["device"] == "cpu" and environment["torch's device"] == "none"
    page = found["README.md"].read_text()
    assert f"in place of the {kind}" in page and "1 passed, 0 failed" in page
    assert "| RNN (1,6,5,5) bfloat16 |" in page and "with an error" not in page


@long
def test_a_stage_that_fails_is_named_and_the_others_run(quick):
    words = [*quick.words, "--stages", "tests", "--tests", "tests/no_such_file.py -n 0"]
    assert benchmarks.main(["--device", "gpu", *words]) == 1
    page = (quick.folder / "README.md").read_text()
    assert "The stage tests ended with an error." in page and "## Environment" in page


@long
def test_without_the_device_nothing_is_measured(capfd, tmp_path):
    assert benchmarks.main(["--device", "tpu", "--out", str(tmp_path / "out")]) == 1
    assert "expected a device of kind 'tpu'" in capfd.readouterr().err
    assert not (tmp_path / "out").exists()
