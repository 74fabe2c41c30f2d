"""Arguments with which processes connect, and errors of the runtime."""

from unittest.mock import Mock

import jax
import pytest

from jax_rnn.base.errors import ArgumentError
from jax_rnn.base.processes import ClusterError, join
from tests.kit import refused

ROWS = [
    (("host:1", None, 1), "processes", "together, got no processes"),
    ((None, 2, None), "coordinator", "together, got no coordinator and no process"),
    (("host", 2, 1), "coordinator", "expected host:port, got 'host'"),
    (("host:x", 2, 1), "coordinator", "expected host:port"),
    (("host:70000", 2, 1), "coordinator", "expected host:port"),
    (("host:1", 2, 2), "process", "expected 0 to 1, one of 2 processes, got 2"),
    (("host:1", 2, 1, 0), "connect_timeout", "expected more than 0 seconds, got 0"),
]


@pytest.mark.parametrize(("arguments", "argument", "words"), ROWS)
def test_what_does_not_fit_is_refused(arguments, argument, words):
    said = refused(ArgumentError, words, lambda: join(*arguments))
    assert said.startswith(f"{argument}: ")


def test_an_error_of_the_runtime_is_a_sentence(monkeypatch):
    initialize = Mock(side_effect=RuntimeError("DEADLINE_EXCEEDED\nmore"))
    monkeypatch.setattr(jax.distributed, "initialize", initialize)
    words = "connect: DEADLINE_EXCEEDED; start all"
    refused(ClusterError, words, lambda: join(None, None, None, 3))
    assert initialize.call_args.kwargs["initialization_timeout"] == 3


def test_nothing_starts_jax_before_the_processes_connect(monkeypatch, capsys):
    """``jax.distributed.initialize`` refuses to, once a device is known."""
    started, connected = [], []
    for name in ("devices", "local_devices", "process_index", "process_count"):
        monkeypatch.setattr(jax, name, lambda *_, name=name: started.append(name))
    monkeypatch.setattr(jax.distributed, "initialize", lambda *given, **_: connected.append(given))
    join("host:1", 2, 1, 3)
    assert connected == [("host:1", 2, 1)] and started == []
    assert "process 1 of 2 waits up to 3 s" in capsys.readouterr().err
