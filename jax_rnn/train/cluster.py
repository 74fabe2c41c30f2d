"""Connect several processes to a cluster, with an error after a timeout.

JAX itself aborts a process from C++ if another one is missing. So process 0 first waits for all
others at the coordinator's address, and they wait for its answer; then all of them call JAX.
"""

import re
import socket
import time
from contextlib import ExitStack

import jax

__all__ = ["ClusterError", "attend", "gather", "join"]

LOST_AFTER = 30
"""Seconds without a heartbeat of a process after which the others stop."""
PAUSE = 0.2
"""Seconds between two attempts to connect."""
HELLO, GO = re.compile(rb"jax_rnn process (\d{1,9})\n"), b"jax_rnn go\n"
ADVICE = "start all processes at about the same time, or use a larger connect_timeout="


class ClusterError(OSError):
    """The processes of a cluster cannot connect."""


def join(
    coordinator: str | None,
    processes: int | None,
    process: int | None,
    connect_timeout: int | float = 60,
) -> None:
    """Connect to the other processes; call it before JAX initializes its devices.

    Args:
        coordinator: address host:port of process 0; None lets JAX detect the cluster (TPU, Slurm).
        processes: number of processes, with ``coordinator``.
        process: number of this process, from 0, with ``coordinator``.
        connect_timeout: seconds to wait for the others.

    Raises:
        ValueError: no address, a process number out of range, or a timeout of 0 or less.
        ClusterError: another process did not connect within the timeout.
    """
    given = {"coordinator=": coordinator, "processes=": processes, "process=": process}
    missing = [name for name, value in given.items() if value is None]
    if 0 < len(missing) < len(given):
        raise ValueError(
            f"expected coordinator=, processes= and process= together, got no {', '.join(missing)}"
        )
    if not connect_timeout > 0:
        raise ValueError(f"connect_timeout: expected seconds above 0, got {connect_timeout}")
    if coordinator is not None and processes is not None and process is not None:
        if not 0 <= process < processes:
            raise ValueError(
                f"process: expected 0 to {processes - 1}, one of {processes} processes, got "
                f"{process}"
            )
        host, port = _address(coordinator)
        if process:
            attend(host, port, process, connect_timeout)
        else:
            gather(port, processes, connect_timeout)
    try:
        jax.distributed.initialize(
            coordinator,
            processes,
            process,
            initialization_timeout=max(round(connect_timeout), 1),
            heartbeat_timeout_seconds=LOST_AFTER,
            shutdown_timeout_seconds=LOST_AFTER,
        )
    except (RuntimeError, ValueError) as error:
        raise ClusterError(
            f"the processes did not form a cluster: {str(error).splitlines()[0]}; {ADVICE}"
        ) from error


def gather(port: int, processes: int, timeout: float) -> None:
    """Process 0: wait until all others have connected, then answer all of them.

    Raises:
        ClusterError: the port cannot be used; a process did not connect within the timeout.
    """
    deadline = time.monotonic() + timeout
    missing = set(range(1, processes))
    with ExitStack() as stack:
        try:
            server = stack.enter_context(_server(port))
        except OSError as error:
            raise ClusterError(
                f"coordinator: expected a free port {port}, got an error "
                f"({error.strerror or error}); choose another port for all processes"
            ) from error
        peers: dict[int, socket.socket] = {}
        while missing:
            left = deadline - time.monotonic()
            if left <= 0:
                absent = ", ".join(map(str, sorted(missing)[:10]))
                raise ClusterError(
                    f"processes: expected {processes} processes, got no sign of process {absent} "
                    f"within {timeout:g} seconds; {ADVICE}"
                )
            server.settimeout(left)
            try:
                peer = stack.enter_context(server.accept()[0])
                peer.settimeout(1)
                hello = HELLO.fullmatch(peer.recv(64))
            except OSError:  # no connection yet, or one from another program
                continue
            if hello and 0 < int(hello[1]) < processes:
                peers[int(hello[1])] = peer
                missing.discard(int(hello[1]))
        for peer in peers.values():
            peer.sendall(GO)
        for peer in peers.values():
            peer.recv(1)  # wait until it has closed


def attend(host: str, port: int, process: int, timeout: float) -> None:
    """Other processes: connect to process 0 and wait for its answer.

    Raises:
        ClusterError: no answer within the timeout.
    """
    deadline = time.monotonic() + timeout
    reason = "no answer"
    while (left := deadline - time.monotonic()) > 0:
        try:
            with socket.create_connection((host, port), timeout=left) as peer:
                peer.sendall(b"jax_rnn process %d\n" % process)
                peer.settimeout(max(deadline - time.monotonic(), 0.01))
                answer = peer.recv(len(GO), socket.MSG_WAITALL)
            if answer == GO:
                return
            reason = "the answer of another program" if answer else "no answer"
        except OSError as error:
            reason = error.strerror or str(error)
        time.sleep(min(PAUSE, max(deadline - time.monotonic(), 0)))
    raise ClusterError(
        f"coordinator: expected process 0 at {host}:{port}, and all other processes, within "
        f"{timeout:g} seconds, got {reason}; check the address and the firewall, {ADVICE}"
    )


def _server(port: int) -> socket.socket:
    if socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("", port))


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise ValueError(f"coordinator: expected host:port, got {text!r}")
    return host.strip("[]"), int(port)
