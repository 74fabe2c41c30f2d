"""Arguments with which processes connect, and errors of the runtime."""

import jax
import pytest

from jax_rnn.base.processes import ClusterError, join


@pytest.mark.parametrize(
    ("arguments", "argument", "message"),
    [
        (("host:1", None, 1), "processes", "together, got no processes"),
        ((None, 2, None), "coordinator", "together, got no coordinator, process"),
        (("host", 2, 1), "coordinator", "expected host:port, got 'host'"),
        (("host:x", 2, 1), "coordinator", "expected host:port"),
        (("host:70000", 2, 1), "coordinator", "expected host:port"),
        (("host:1", 2, 2), "process", "expected 0 to 1, one of 2 processes, got 2"),
        (("host:1", 2, 1, 0), "connect_timeout", "expected seconds above 0, got 0"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, argument, message):
    with pytest.raises(ValueError, match=message) as caught:
        join(*arguments)
    assert caught.value.argument == argument


def test_an_error_of_the_runtime_is_a_sentence(monkeypatch):
    def initialize(*arguments, initialization_timeout, **options):
        assert initialization_timeout == 3
        raise RuntimeError("DEADLINE_EXCEEDED\nmore")

    monkeypatch.setattr(jax.distributed, "initialize", initialize)
    with pytest.raises(ClusterError, match=r"cluster: DEADLINE_EXCEEDED; start all"):
        join(None, None, None, 3)
