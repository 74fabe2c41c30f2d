"""What ``--help`` prints: an overview, every line broken between words."""

import pytest

import jax_rnn
from jax_rnn.app.cli import COMMANDS, main
from tests.kit import cases


def lines(capsys, *words):
    try:
        main(words)
    except SystemExit as left:
        assert left.code in (0, None)
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",)])
def test_the_overview_names_every_command(words, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    found = lines(capsys, *words)
    assert found[0] == "usage: jax-rnn COMMAND [OPTIONS]"
    names = [line.split()[0] for line in found if line.startswith("  ") and line[2] != " "]
    assert names[: len(COMMANDS)] == list(COMMANDS)
    assert max(map(len, found)) <= 80


@cases("columns", [60, 80], short=1)
@pytest.mark.parametrize("command", [(name,) for name in COMMANDS] + [("train", "char_lm")])
def test_help_is_never_wider_than_the_terminal(command, columns, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    found = lines(capsys, *command, "--help")
    assert found[0].startswith(f"usage: jax-rnn {' '.join(command)}")
    assert max(map(len, found)) <= columns
    assert any(line.startswith("$ jax-rnn") for line in found)


def test_the_version_is_that_of_the_package(capsys):
    assert lines(capsys, "--version") == [f"jax-rnn {jax_rnn.__version__}"]


def test_the_help_of_a_lesson_on_data_lists_its_presets(capsys):
    assert "Values of --preset: default, quick, long." in lines(
        capsys, "train", "char_lm", "--help"
    )
