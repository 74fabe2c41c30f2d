"""Several processes become one cluster, or say within a stated time why they cannot."""

import socket
import time

import jax

__all__ = ["ClusterError", "join", "wait_for"]

LOST_AFTER = 30
"""Seconds without a sign of a process after which the others end too."""
PAUSE = 0.2
"""Seconds between two attempts to connect."""


class ClusterError(OSError):
    """The processes of a cluster do not find each other."""


def join(
    coordinator: str | None, processes: int | None, process: int | None, timeout: float = 60
) -> None:
    """Become one of several processes; call it before JAX looks for devices.

    Args:
        coordinator: address host:port of process 0; None lets JAX find the cluster (TPU, Slurm).
        processes: how many there are, with ``coordinator``.
        process: which of them this is, from 0, with ``coordinator``.
        timeout: seconds to wait for the others.

    Raises:
        ValueError: no address, a process that is not one of so many, no time to wait.
        ClusterError: another process did not come within that time.
    """
    given = {"--coordinator": coordinator, "--processes": processes, "--process": process}
    if any(value is not None for value in given.values()) and None in given.values():
        missing = ", ".join(name for name, value in given.items() if value is None)
        raise ValueError(
            f"expected --coordinator, --processes and --process together, got no {missing}"
        )
    if timeout <= 0:
        raise ValueError(f"--connect-timeout: expected seconds above 0, got {timeout}")
    began = time.monotonic()
    if coordinator is not None and processes is not None and process is not None:
        if not 0 <= process < processes:
            raise ValueError(
                f"--process: expected 0 to {processes - 1}, one of --processes {processes}, got "
                f"{process}"
            )
        host, port = _address(coordinator)
        if process:
            wait_for(host, port, timeout)
    left = max(1, round(timeout - (time.monotonic() - began)))
    try:
        jax.distributed.initialize(
            coordinator,
            processes,
            process,
            initialization_timeout=left,
            heartbeat_timeout_seconds=LOST_AFTER,
            shutdown_timeout_seconds=LOST_AFTER,
        )
    except (RuntimeError, ValueError) as error:
        raise ClusterError(
            f"the processes did not form a cluster within {timeout:g} seconds: "
            f"{str(error).splitlines()[0]}. Start all of them at about the same time, or wait "
            "longer with --connect-timeout"
        ) from error


def wait_for(host: str, port: int, timeout: float) -> None:
    """Wait until something answers at that address.

    JAX itself ends the process from C++ where nothing does.

    Raises:
        ClusterError: nothing answered within ``timeout`` seconds.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            left = max(deadline - time.monotonic(), 0.01)
            socket.create_connection((host, port), timeout=left).close()
            return
        except OSError as error:
            if time.monotonic() + PAUSE > deadline:
                raise ClusterError(
                    f"--coordinator: expected process 0 at {host}:{port}, got no answer within "
                    f"{timeout:g} seconds ({error.strerror or error}); start process 0 first, "
                    "check the address and the firewall, or wait longer with --connect-timeout"
                ) from error
        time.sleep(PAUSE)


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise ValueError(f"--coordinator: expected host:port, got {text!r}")
    return host.strip("[]"), int(port)
