"""Training cells on tasks, and `jax-rnn probe`."""

import json

import jax
import numpy as np
import pytest
from flax import nnx

from jax_rnn.app.cli import main
from jax_rnn.cells import CATALOGUE
from jax_rnn.probes import Budget, run_probe
from jax_rnn.probes.found import CELLS, find_cell, find_task
from jax_rnn.probes.model import ProbeModel
from jax_rnn.probes.results import read
from jax_rnn.probes.tasks.tagging import Parity
from tests.kit import cases, long, refused, rngs

TINY = ["--steps", "3", "--seeds", "2", "--hidden-size", "4", "--batch", "2", "--length", "6"]
MINE = """
from jax.nn import sigmoid
from jax_rnn import GatedCell, HiddenCarry
from jax_rnn.probes import Example, Task
import jax, jax.numpy as jnp

class Mine(GatedCell[HiddenCarry]):
    gates = ("f",)

    def update(self, gates, carry):
        h = sigmoid(gates.f) * carry.h + 1
        return HiddenCarry(h), h

class First(Task):
    title = "the first symbol"
    inputs = outputs = 3

    def sample(self, key, batch, length):
        x = jax.random.randint(key, (batch, length), 0, 3)
        ones = jnp.ones(x.shape)
        return Example(x, jnp.broadcast_to(x[:, :1], x.shape), ones, ones)

number = 3
"""


@pytest.fixture
def mine(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    return path


@long
def test_a_gru_learns_parity_and_a_min_gru_cannot():
    budget = Budget(hidden_size=8, batch=16, steps=150, learning_rate=0.02, length=8)
    found = {
        name: run_probe(name, CATALOGUE[name].build, "parity", Parity(), seeds=(3,), budget=budget)
        for name in ("gru", "min_gru")
    }
    assert found["gru"].scores[8][0] > 0.95
    assert found["min_gru"].scores[8][0] < 0.8
    assert len(found["gru"].loss[0]) == 50


def test_seeds_are_trained_as_if_alone():
    budget = Budget(hidden_size=4, batch=2, steps=4, length=5)
    run = lambda *seeds: run_probe(  # noqa: E731
        "rnn", CATALOGUE["rnn"].build, "parity", Parity(), seeds=seeds, budget=budget
    )
    both, second = run(0, 7), run(7)
    np.testing.assert_allclose(both.loss[1], second.loss[0], rtol=1e-5)
    assert both.loss[0] != both.loss[1]


@cases("name", ["rg_lru", *sorted(CELLS.keys() - {"rg_lru"})], short=1)
def test_every_cell_of_the_library_is_in_the_model(name):
    model = ProbeModel(Parity(), CELLS[name], 4, 2, rngs=rngs())
    y = model(jax.numpy.zeros((3, 5), int))
    assert y.shape == (3, 5, 2)
    assert np.isfinite(y).all()


def test_the_command_writes_results_and_continues(mine, tmp_path, capsys, monkeypatch):
    out = tmp_path / "out"
    words = ["probe", "--cells", f"gru,{mine}:Mine", "--tasks", f"adding,{mine}:First", *TINY]
    main([*words, "--out", str(out)])
    first = capsys.readouterr().out
    assert "4/4  Mine, First: score" in first and "| gru |" in first
    assert {path.name for path in out.iterdir()} == {
        "README.md", "curves.png", "gru-adding.json", "Mine-adding.json", "gru-First.json",
        "Mine-First.json",
    }  # fmt: skip
    found = json.loads((out / "Mine-First.json").read_text())
    assert found["seeds"] == [0, 1] and list(found["scores"]) == ["6"]
    assert len(found["sources"]["cell"]) == 64 and found["environment"]["jax"] == jax.__version__
    result = read(out / "gru-adding.json")
    assert result is not None and result.budget == Budget(4, 1, 2, 3, 3e-3, 1.0, 6)
    (out / "Mine-First.json").unlink()
    main([*words, "--out", str(out)])
    second = capsys.readouterr().out
    assert second.count("from an earlier run") == 3
    assert "4/4  Mine, First" in second.replace(" (read", "")


def test_a_diverged_seed_is_null_in_the_file_and_named_in_the_table(mine, tmp_path, capsys):
    mine.write_text(MINE.replace("carry.h + 1", "carry.h / 0"))
    words = ["probe", "--cells", f"{mine}:Mine", "--tasks", "adding", *TINY, "--out", str(tmp_path)]
    main(words)
    assert "diverged" in capsys.readouterr().out
    assert json.loads((tmp_path / "Mine-adding.json").read_text())["scores"]["6"] == [None, None]
    main(words)
    assert "diverged" in capsys.readouterr().out


REFUSED = [
    (["--cells", "grus"], "--cells: |did you mean gru"),
    (["--cells", "gru,gru"], "--cells: |different names"),
    (["--cells", "none.py:A"], "--cells: |does not exist"),
    (["--cells", "{mine}:Other"], "--cells: |'Other'|none"),
    (["--cells", "{mine}:number"], "--cells: |'number'|none"),
    (["--tasks", "{mine}:Mine"], "--tasks: |subclass of jax_rnn.probes.Task"),
    (["--tasks", "{bad}:A"], "--tasks: |can be run|ZeroDivisionError"),
    (["--seeds", "0"], "--seeds: |at least 1"),
    (["--steps", "0"], "steps: |at least 1"),
    (["--learning-rate", "0"], "learning_rate: |above 0"),
    (["--out", "{mine}"], "--out: |expected a folder"),
]


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: " ".join(row[0]))
def test_wrong_options_are_refused(row, mine, tmp_path, capsys):
    words, parts = row
    bad = tmp_path / "bad.py"
    bad.write_text("1 / 0")
    words = [word.format(mine=mine, bad=bad) for word in words]
    if "--out" not in words:
        words += ["--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as caught:
        main(["probe", *words])
    message = capsys.readouterr().err
    assert caught.value.code == 2
    assert all(part in message for part in parts.split("|")), message


def test_results_of_another_command_are_not_mixed_in(tmp_path, capsys):
    words = ["probe", "--cells", "rnn", "--tasks", "parity", *TINY, "--out", str(tmp_path)]
    main(words)
    with pytest.raises(SystemExit):
        main([*words, "--batch", "3"])
    assert "rnn-parity.json" in capsys.readouterr().err
    (tmp_path / "rnn-parity.json").write_text("[]")
    with pytest.raises(SystemExit):
        main(words)
    assert "remove the file" in capsys.readouterr().err


def test_cells_and_tasks_are_found():
    assert find_cell("lru").value(3, 4, rngs=nnx.Rngs(0)).hidden_size == 4
    assert find_task("dyck").value.inputs == 2
    refused(ValueError, "one of|dyck", lambda: find_task("x"))
