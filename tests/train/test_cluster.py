"""Processes that do not find each other end with a message in time."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import jax
import pytest

from jax_rnn.train.cluster import ClusterError, attend, gather, join


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("host:1", None, 1), "got no processes="),
        ((None, 2, None), "got no coordinator=, process="),
        (("host", 2, 1), "expected host:port, got 'host'"),
        (("host:x", 2, 1), "expected host:port"),
        (("host:70000", 2, 1), "expected host:port"),
        (("host:1", 2, 2), "expected 0 to 1, one of 2 processes, got 2"),
        (("host:1", 2, 1, 0), "connect_timeout: expected seconds above 0, got 0"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        join(*arguments)


@pytest.fixture
def port():
    """A port that no process uses."""
    with socket.create_server(("localhost", 0)) as server:
        return server.getsockname()[1]


def test_no_process_connects(port):
    began = time.monotonic()
    with pytest.raises(ClusterError, match=r"process 0 at localhost:\d+, and all .* 0.3 seconds"):
        join(f"localhost:{port}", 2, 1, 0.3)
    assert time.monotonic() - began < 5


def test_another_program_answers():
    with socket.create_server(("localhost", 0)) as server, ThreadPoolExecutor() as pool:

        def answer():
            peer, _ = server.accept()
            with peer:
                peer.sendall(b"HTTP/1.1 400")

        pool.submit(answer)
        with pytest.raises(ClusterError, match=r"got (the answer of another program|timed out)"):
            attend("localhost", server.getsockname()[1], 1, 0.5)


def test_some_do_not_come(port):
    with ThreadPoolExecutor() as pool:
        other = pool.submit(attend, "localhost", port, 2, 0.8)
        with pytest.raises(
            ClusterError, match=r"expected 4 processes, got no sign of process 1, 3"
        ):
            gather(port, 4, 0.5)
        with pytest.raises(ClusterError):
            other.result()


def test_a_port_in_use_is_named():
    with socket.create_server(("", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(ClusterError, match=f"expected a free port {port}, got an error"):
            gather(port, 2, 1.0)


def test_all_find_each_other_in_any_order(port):
    with ThreadPoolExecutor() as pool:
        others = [pool.submit(attend, "localhost", port, k, 10.0) for k in (2, 1)]
        stranger = pool.submit(stray, port)
        gather(port, 3, 10.0)
        assert [other.result() for other in (*others, stranger)] == [None] * 3
    with socket.create_server(("", port)):
        pass


def stray(port):
    """Connects, and sends something else."""
    with suppress(OSError), socket.create_connection(("localhost", port), timeout=0.5) as peer:
        peer.sendall(b"GET /")


def test_an_error_of_the_runtime_is_a_sentence(monkeypatch):
    def initialize(*arguments, initialization_timeout, **options):
        assert initialization_timeout == 3
        raise RuntimeError("DEADLINE_EXCEEDED\nmore")

    monkeypatch.setattr(jax.distributed, "initialize", initialize)
    with pytest.raises(ClusterError, match=r"cluster: DEADLINE_EXCEEDED; start all"):
        join(None, None, None, 3)
