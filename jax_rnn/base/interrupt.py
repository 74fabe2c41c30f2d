"""Handling of Ctrl-C and SIGTERM, so that a run saves its state first."""

import os
import signal
import threading
from types import FrameType

__all__ = ["Interrupt"]

NOTICE = b"\nstopping as soon as a checkpoint is saved; press Ctrl-C again to stop at once\n"


class Interrupt:
    """Context in which the first signal only sets ``requested``; the second acts as usual."""

    def __init__(self) -> None:
        self.requested = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> "Interrupt":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *error: object) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
        self._restore()
        os.write(2, NOTICE)  # the interrupted code may be printing

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)  # type: ignore
        self._before = {}
