"""The race: results must agree, libraries alternate, and missing libraries are reported."""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from flax import nnx

from benchmarks import __main__ as benchmarks
from benchmarks.heads import heads
from benchmarks.memory import memory
from benchmarks.newton import newton
from benchmarks.newton import table as newton_table
from benchmarks.peers import PEERS, builders
from benchmarks.projection import projection
from benchmarks.rows import NAMES, settings
from benchmarks.summary import BEST_JAX, summarise
from benchmarks.tables import markdown
from benchmarks.zoo import table as zoo_table
from benchmarks.zoo import zoo
from jax_rnn import LSTM
from jax_rnn.app import cli
from jax_rnn.base.compiler import CANDIDATES
from jax_rnn.bench.files import plain
from jax_rnn.bench.ours import ours
from jax_rnn.bench.problem import PASSES, Problem, Setting, flop
from jax_rnn.bench.race import Entry, Row, race
from jax_rnn.bench.timing import interleave
from jax_rnn.bench.tune import tune

pytest.importorskip("torch")

ROOT = Path(__file__).parents[2]
TINY = Setting("GRU", 3, 5, 4, 6)


class TestTurns:
    def test_each_has_its_turn_in_every_round_and_another_begins(self, monkeypatch):
        monkeypatch.setattr("jax_rnn.bench.timing.TURN", 0.0)
        monkeypatch.setattr("jax_rnn.bench.timing.SETTLE", 0.0)
        said = []
        calls = {name: (lambda name=name: said.append(name)) for name in "abc"}
        times = interleave(calls, seconds=60.0, most_rounds=3)
        assert "".join(said[-18:]) == "aabbccbbccaaccaabb"  # a call to warm up, and one that counts
        assert {name: len(of.seconds) for name, of in times.items()} == {"a": 3, "b": 3, "c": 3}
        assert all(0 <= of.minimum <= of.median for of in times.values())

    def test_who_takes_very_long_has_fewer_rounds(self):
        times = interleave({"slow": lambda: time.sleep(0.01)}, seconds=1e-4, least_rounds=5)
        assert len(times["slow"].seconds) == 1


class TestComputed:
    def test_flop_counts_the_products_of_steps_that_count(self):
        plain_row = Problem.draw(Setting("LSTM", 2, 7, 3, 5))
        forward = 2 * 2 * 7 * 4 * 5 * (3 + 5)
        assert flop(plain_row, "forward") == forward
        assert (
            flop(plain_row, "step") == flop(plain_row, "backward") == 3 * forward - 2 * 14 * 20 * 3
        )
        ragged = Problem.draw(Setting("LSTM", 2, 7, 3, 5, ragged=True))
        assert flop(ragged, "forward") == forward * ragged.lengths.sum() / 14

    def test_the_rows_are_those_of_the_table(self):
        every = list(settings(NAMES, ("RNN", "LSTM", "GRU")))
        assert len(every) == 18 + 2 + 2
        assert len({setting.title for setting in every}) == len(every)
        with pytest.raises(ValueError, match="got '1,2'"):
            list(settings(["1,2"], ("RNN",)))


@pytest.fixture(scope="module")
def raced():
    return race(Problem.draw(TINY), builders(TINY, ["torch", "flax.nnx"]), PASSES, seconds=0.01)


class TestRace:
    @pytest.mark.long
    def test_all_are_checked_and_timed_in_all_passes(self, raced):
        assert raced.refused == {}
        assert raced.parity.keys() == {"jax_rnn", "flax.nnx"}
        assert all(
            difference < 1e-5 for values in raced.parity.values() for difference in values.values()
        )
        assert tuple(raced.entries) == PASSES
        for entries in raced.entries.values():
            assert entries.keys() == {"jax_rnn", "torch", "flax.nnx"}
            assert entries["jax_rnn"].ratio == 1
            for entry in entries.values():
                assert 0 < entry.minimum <= entry.median and entry.rounds >= 5
                assert entry.us_per_step == pytest.approx(1e6 * entry.median / TINY.T)

    @pytest.mark.long
    @pytest.mark.parametrize("name", ["weight_hh_l0", "bias_hh_l0"])
    def test_one_with_other_weights_is_refused_before_timing(self, name):
        def build(problem):
            gates = np.split(problem.weights[name], 3)
            swapped = np.concatenate([gates[1], gates[0], gates[2]])
            return ours(problem.with_weights({**problem.weights, name: swapped}))

        entrants = builders(TINY, ["torch"]) | {"swapped": build}
        row = race(Problem.draw(TINY), entrants, ("forward",), seconds=0.01)
        assert "differ from those of torch" in row.refused["swapped"]
        assert row.entries["forward"].keys() == {"jax_rnn", "torch"}

    @pytest.mark.long
    @pytest.mark.parametrize(
        "setting",
        [
            Setting("LSTM", 3, 5, 4, 6, 2, bidirectional=True, ragged=True),
            Setting("LSTM", 3, 5, 4, 6, custom=True),
        ],
        ids=["ragged", "custom"],
    )
    def test_stacks_and_cells_of_a_user_are_equal_too(self, setting):
        entrants = builders(setting, ["torch", "flax.nnx"])
        row = race(Problem.draw(setting), entrants, (), seconds=0.01)
        assert row.refused == row.absent == {}
        assert len(row.parity) == len(entrants) - 1

    def test_a_library_that_is_not_installed_is_named(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "haiku", None)
        row = race(Problem.draw(TINY), builders(TINY, ["haiku"]), (), seconds=0.01)
        assert row.absent == {"haiku": "haiku is not installed"}


class TestSections:
    @pytest.mark.long
    def test_a_process_reports_the_memory_of_a_training_step(self):
        (row,) = list(memory([7], {"B": 2, "I": 3, "H": 4}, variants=["auto"]))
        assert row["variant"] == "auto" and row["T"] == 7 and row["failure"] is None
        assert 0 < row["temporaries"] < 1e6 and row["peak"] > 0 and row["seconds"] > 0

    @pytest.mark.long
    def test_heads_are_timed_and_their_parameters_counted(self):
        rows = list(heads(0.01, (2, 4, 3, 6), (1, 3), ["GRU"]))
        assert [row["heads"] for row in rows] == [1, 3]
        assert rows[0]["parameters"] - rows[1]["parameters"] == 3 * 6 * (6 - 2)
        assert all(row["backward"] > 0 and row["temporaries"] > 0 for row in rows)

    def test_both_places_of_projection_are_timed_and_the_choice_is_named(self):
        rows = list(projection(0.01, [(2, 4, 3, 5)], ["GRU"]))
        assert [(row["pass"], row["chosen"]) for row in rows] == [
            ("forward", "before"),
            ("backward", "before"),
        ]
        for row in rows:
            assert row["ratio"] == row["before"] / row["in_loop"] > 0


class TestReports:
    def test_summary_counts_losses_and_leaves_out_other_equations(self):
        ratios = {"jax_rnn": 1.0, "torch": 4.0, "keras": 0.5, "equinox": 2.0, "haiku": 0.1}
        step = {name: Entry(1.0, 1.0, 1.0, 5, 1.0, 1.0, ratio) for name, ratio in ratios.items()}
        row = Row(TINY, entries={"step": step}, notes={"haiku": "resets before the product"})
        found = summarise([row, row], ["keras", "equinox", "haiku"])
        assert found.keys() == {"torch", "keras", "equinox", BEST_JAX}
        assert found["torch"]["all"]["geometric_mean"] == pytest.approx(4)
        assert found[BEST_JAX]["step"] == {
            "geometric_mean": pytest.approx(0.5),
            "least": 0.5,
            "rows": 2,
            "we_are_slower": 2,
        }
        rows = plain([row])
        lines = markdown({"rows": rows, "ceiling": {"jax": 2.0}, "summary": found}).splitlines()
        (line,) = [line for line in lines if TINY.title in line]
        assert "**0.50**" in line and "4.00" in line and "**0.10**†" in line


class TestCommands:
    @pytest.mark.long
    def test_a_small_run_writes_tables_json_and_a_plot(self, tmp_path, monkeypatch, capsys):
        pytest.importorskip("matplotlib")
        monkeypatch.setattr("benchmarks.rows.SHAPES", ((1, 6, 5, 5),))
        monkeypatch.setattr("jax_rnn.bench.ceiling.SIZES", (64,))
        monkeypatch.setenv("JAX_PLATFORMS", "cpu")
        monkeypatch.setattr(benchmarks, "_use_threads", lambda threads: 1)
        json_file, plot_file = tmp_path / "new" / "speed.json", tmp_path / "speed.png"
        words = "--rows 1,6,5,5 --kinds RNN --passes forward --peers torch --seconds 0.01"
        words += f" --sections layers --json {json_file} --plot {plot_file}"
        assert benchmarks.main(words.split()) == 0
        assert "RNN (1,6,5,5)" in capsys.readouterr().out
        result = json.loads(json_file.read_text())
        sections = (
            "environment options rows ceiling projection heads lecture memory summary seconds"
        )
        assert result.keys() == set(sections.split())
        assert result["rows"][0]["setting"] == plain(Setting("RNN", 1, 6, 5, 5))
        assert result["summary"]["torch"]["forward"]["rows"] == 1
        assert result["environment"]["dm-haiku"] and result["environment"]["threads"]
        assert plot_file.read_bytes().startswith(b"\x89PNG")

    def test_without_a_gpu_it_says_so(self, capsys, monkeypatch):
        monkeypatch.setattr("jax_rnn.base.devices.available", lambda: {"cpu": [object()]})
        monkeypatch.setattr(benchmarks, "_use_threads", lambda threads: 1)
        assert benchmarks.main(["--device", "gpu", "--sections", "layers"]) == 1
        said = capsys.readouterr().err
        assert "expected a device of kind 'gpu', but JAX finds only: cpu (1)" in said

    def test_help_has_examples(self):
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks", "--help"], cwd=ROOT, capture_output=True, text=True
        )
        assert done.returncode == 0
        assert "python -m benchmarks --quick" in done.stdout
        assert all(name in done.stdout for name in PEERS)

    def test_jax_rnn_bench_prints_a_table_and_writes_json(self, tmp_path, monkeypatch, capsys):
        monkeypatch.setattr("jax_rnn.bench.ceiling.SIZES", (64,))
        path = tmp_path / "bench.json"
        words = "bench --layer RNN --shape 3,5,4,6 --pass forward --seconds 0.01"
        words += " --compiler-options xla_cpu_multi_thread_eigen=false"
        cli.main([*words.split(), "--json", str(path)])
        said = capsys.readouterr().out
        assert "RNN (3,5,4,6): equal results (largest" in said and "torch" in said
        result = json.loads(path.read_text())
        assert result["row"]["entries"]["forward"].keys() == {"jax_rnn", "torch"}
        assert result["compiler_options"] == {"xla_cpu_multi_thread_eigen": False}

    def test_jax_rnn_bench_tune_compares_options_of_the_compiler(self, tmp_path, capsys):
        (tmp_path / "mine.py").write_text("from jax_rnn import GRUCell as Mine\n")
        path = tmp_path / "tuned.json"
        words = "bench --tune --shape 3,5,4,6 --pass forward --seconds 0.01 --cell"
        cli.main([*words.split(), f"{tmp_path}/mine.py:Mine", "--json", str(path)])
        said = capsys.readouterr().out
        assert "Mine (3,5,4,6)" in said and "YNNPACK off" in said and "help" in said
        rows = json.loads(path.read_text())["rows"]
        assert [row["name"] for row in rows] == ["default", *CANDIDATES["cpu"]]
        assert all(row["speed"] > 0 or row["refused"] for row in rows)

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            ("--cell lru", "--cell: expected --tune with it, got 'lru' alone"),
            ("--tune --pass step", "--pass: expected forward, backward or all with --tune"),
            ("--tune --compiler-options a=1", "--compiler-options: expected it without --tune"),
            ("--compiler-options fast", "--compiler-options: expected NAME=VALUE, got 'fast'"),
            ("--compiler-options fast=1", "No such compile option: 'fast'"),
            ("--tune --cell nope", "--cell: expected one of rnn, lstm"),
        ],
    )
    def test_what_cannot_be_tuned_is_refused(self, words, said, capsys):
        with pytest.raises(SystemExit):
            cli.main(["bench", *words.split()])
        assert said in capsys.readouterr().err.replace("\n", " ")


class TestTuning:
    def test_options_that_xla_refuses_or_that_change_results_are_not_timed(self, monkeypatch):
        layer, x = LSTM(4, 6, rngs=nnx.Rngs(0)), np.ones((5, 3, 4), np.float32)
        unknown = {"unknown": {"xla_cpu_no_such_option": True}}
        rows = tune(layer, x, kinds=("forward",), seconds=0.01, candidates=unknown)
        assert rows[0].speed == 1.0 and not rows[0].helps
        assert rows[1].speed is None and "xla_cpu_no_such_option" in rows[1].refused
        monkeypatch.setattr("jax_rnn.bench.tune.TOLERANCE", -1.0)
        known = {"known": {"xla_cpu_multi_thread_eigen": True}}
        rows = tune(layer, x, kinds=("forward",), seconds=0.01, candidates=known)
        assert rows[1].speed is None and "differ from those without options" in rows[1].refused


class TestCellsAndNewton:
    @pytest.mark.long
    def test_every_cell_is_compared_and_timed(self):
        cells = ["lru", "star", "slstm", "cifg_lstm"]
        rows = list(zoo(0.001, cells, (2, 3, 16, 16)))
        assert [row["cell"] for row in rows] == cells
        assert all(row["ours"] > 0 and row["loop"] > 0 for row in rows)
        assert [row["torch"] is not None for row in rows] == [False, True, True, True]
        assert zoo_table(rows).count("\n") == 6

    def test_a_cell_that_differs_is_named(self, monkeypatch):
        monkeypatch.setattr("benchmarks.zoo._loop", lambda cell, x: lambda: (9.0, np.zeros(1)))
        with pytest.raises(ValueError, match="star: expected the same results of loop"):
            list(zoo(0.001, ["star"], (2, 3, 4, 4)))

    @pytest.mark.long
    def test_newton_is_compared_with_the_sequential_scan(self):
        rows = list(newton(0.001, (8,), (4,)))
        assert len(rows) == 7
        assert all(row["iterations"] is None or row["iterations"] > 0 for row in rows)
        times, memory = newton_table(rows).split("\n\n")
        assert times.count("\n") == 2 and memory.count("\n") == 3
