"""Several processes that train together: how they meet, and who writes."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils
from rich.console import Console

from jax_rnn.base.console import say
from jax_rnn.base.devices import is_main
from jax_rnn.base.errors import ArgumentError

__all__ = ["ClusterError", "any_process", "from_main", "join", "main_does", "together"]

LOST_AFTER = 30
"""Seconds without a heartbeat of a process after which the others stop."""
PAGE = 1024
"""Messages are padded to a multiple of these bytes, so that few programs are compiled."""

ResultT = TypeVar("ResultT")


class ClusterError(OSError):
    """The processes of a cluster cannot connect."""


def join(
    coordinator: str | None,
    processes: int | None,
    process: int | None,
    connect_timeout: int | float = 60,
) -> None:
    """Connect to the other processes; call it before JAX initializes its devices.

    If they do not come in time, JAX ends this process with a message of its own.

    Args:
        coordinator: address host:port of process 0; None lets JAX detect the cluster (TPU, Slurm).
        processes: number of processes, with ``coordinator``.
        process: number of this process, from 0, with ``coordinator``.
        connect_timeout: seconds to wait for the others.

    Raises:
        ValueError: no address, a process number out of range, or a timeout of 0 or less.
        ClusterError: JAX cannot detect or start the cluster.
    """
    if not connect_timeout > 0:
        raise ArgumentError(
            "connect_timeout", f"expected more than 0 seconds, got {connect_timeout}"
        )
    given = {"coordinator": coordinator, "processes": processes, "process": process}
    missing = [name for name, value in given.items() if value is None]
    if 0 < len(missing) < len(given):
        raise ArgumentError(
            missing[0],
            "expected coordinator, processes and process together, got no "
            + " and no ".join(missing),
        )
    if coordinator is not None and processes is not None and process is not None:
        host, _, port = coordinator.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
            raise ArgumentError("coordinator", f"expected host:port, got {coordinator!r}")
        if not 0 <= process < processes:
            raise ArgumentError(
                "process",
                f"expected 0 to {processes - 1}, one of {processes} processes, got {process}",
            )
        wait = f"process {process} of {processes} waits up to {connect_timeout:g} s for the others"
        say(Console(stderr=True), wait)  # every process, and before JAX starts
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
            f"the processes did not connect: {str(error).splitlines()[0]}; start all of them at "
            "about the same time, or use a longer connect_timeout"
        ) from error


def any_process(flag: bool) -> bool:
    """Whether the flag is set in any process; every process must call it."""
    if jax.process_count() == 1:
        return flag
    return bool(multihost_utils.process_allgather(np.asarray(flag)).any())


def from_main(value: ResultT) -> ResultT:
    """Send a JSON-serializable value of the main process to all; every process must call it."""
    if jax.process_count() == 1:
        return value
    data = np.frombuffer(json.dumps(value).encode() if is_main() else b"", np.uint8)
    size = int(multihost_utils.broadcast_one_to_all(np.int32(data.size)))
    message = np.zeros(-(-size // PAGE) * PAGE, np.uint8)
    message[: data.size] = data
    return json.loads(bytes(np.asarray(multihost_utils.broadcast_one_to_all(message))[:size]))


def main_does(work: Callable[[], ResultT]) -> ResultT:
    """Run ``work()`` in the main process only; all get its JSON-serializable result.

    The others wait for it, so this is also a barrier.

    Raises:
        OSError: in the other processes, if ``work`` failed in the main process.
    """
    if jax.process_count() == 1:
        return work()
    result, fault = _attempt(work if is_main() else lambda: None)
    result, message = from_main((result, None if fault is None else str(fault)))
    if fault is not None:
        raise fault
    if message is not None:
        raise OSError(f"process 0: {message}")
    return result


def _attempt(work: Callable[[], Any]) -> tuple[Any, Exception | None]:
    """The result of ``work()``, or its error."""
    try:
        return work(), None
    except Exception as error:
        return None, error


@contextmanager
def together() -> Iterator[None]:
    """Context for work of several processes, which replaces errors of JAX.

    Raises:
        OSError: instead of an error of JAX, if there are several processes.
    """
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if jax.process_count() == 1:
            raise
        raise OSError(
            f"process {jax.process_index()} cannot continue with the others: "
            f"{str(error).splitlines()[0]}. One of them may have ended; start all processes again "
            "and resume the run from its last checkpoint"
        ) from error
