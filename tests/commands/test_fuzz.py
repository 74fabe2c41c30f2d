"""The program that draws command lines and damaged run folders."""

import json

import pytest

from tools.fuzz_cli import main


@pytest.mark.long
def test_it_draws_calls_and_writes_a_summary(tmp_path, capsys):
    path = tmp_path / "summary.json"
    assert main(["--draws", "6", "--first", "3", "--json", str(path)]) == 0
    assert "6 draws: 6 ok" in capsys.readouterr().out
    summary = json.loads(path.read_text())
    assert summary == {"draws": 6, "first": 3, "outcomes": {"ok": 6}, "faults": []}
