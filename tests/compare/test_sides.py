"""A third framework takes part in a comparison with one file."""

import os
from io import StringIO

import pytest
from rich.console import Console

pytest.importorskip("torch")

from jax_rnn.lecture.compare.comparison import title_of
from jax_rnn.lecture.compare.console import print_comparison
from jax_rnn.lecture.compare.frameworks import import_seconds
from jax_rnn.lecture.compare.jax_lesson import JaxLesson
from jax_rnn.lecture.compare.parity import compare
from jax_rnn.lecture.compare.torch_lesson import TorchLesson
from jax_rnn.testing.ladder import ParityError
from tests.compare import linen_side
from tests.compare.linen_side import LinenSide
from tests.kit import cases


@cases("preset", ["gru", None, "lstm"], short=1)
def test_linen_equals_torch(preset):
    result = compare("ihello", preset, dtype="float64", sides=(LinenSide, TorchLesson))
    assert result.frameworks == ("flax.linen", "torch")
    assert result.rungs[-1].passed
    assert result.rungs[-1].name == "5 steps of Adam"
    assert max(result.max_abs_value_difference.values()) <= 1e-12
    assert result.max_abs_gradient_difference <= 1e-12
    assert result.max_abs_loss_difference <= 1e-12
    assert result.max_abs_weight_difference <= 1e-9
    assert result.predictions_equal == result.steps == 100


@pytest.mark.long
def test_linen_equals_ours_and_the_report_names_it(tmp_path):
    pytest.importorskip("matplotlib")
    pytest.importorskip("jinja2")
    from jax_rnn.lecture.compare.report import render_html

    result = compare("ihello", seed=3, steps=20, dtype="float64", sides=(LinenSide, JaxLesson))
    assert result.max_abs_loss_difference <= 1e-12
    console = Console(file=StringIO(), width=100)
    print_comparison(console, result)
    assert "flax.linen" in console.file.getvalue()
    assert "flax.linen and JAX from the same weights" in render_html([result])
    assert title_of("flax.linen") == "flax.linen"


def test_a_wrong_gate_in_linen_shows(monkeypatch):
    monkeypatch.setitem(linen_side.GATES, "gru", ("z", "r", "n"))
    result = compare("ihello", "gru", steps=1, dtype="float64", sides=(LinenSide, TorchLesson))
    assert [rung.name for rung in result.rungs if not rung.passed] == ["forward"]


@pytest.mark.parametrize("given", [None, "ACTIVE"])
def test_threads_of_torch_sleep_while_they_wait_unless_told_otherwise(given, monkeypatch):
    monkeypatch.setenv("OMP_WAIT_POLICY", "restored at the end")
    if given is None:
        monkeypatch.delenv("OMP_WAIT_POLICY")
    else:
        monkeypatch.setenv("OMP_WAIT_POLICY", given)
    import_seconds("torch")
    assert os.environ["OMP_WAIT_POLICY"] == (given or "PASSIVE")


def test_other_parameters_are_refused():
    class Other(LinenSide):
        def named(self, tree):
            return {f"other.{name}": value for name, value in super().named(tree).items()}

    with pytest.raises(ParityError, match=r"parameter names: missing in linen: rnn.bias_hh_l0"):
        compare("ihello", dtype="float64", sides=(Other, TorchLesson))
