"""``python -m jax_rnn`` is the command ``jax-rnn``."""

import os
import signal
import sys
from threading import Timer
from typing import Any

__all__ = ["main"]

LATER = 0.05
"""Seconds until an interrupt is tried again."""


def main() -> None:
    """Run the command line; Ctrl-C exits without a traceback, also during imports."""
    sys.unraisablehook = _interrupt_later
    try:
        from jax_rnn.app import cli

        cli.main()
    except BaseException as error:
        from jax_rnn.app.failures import leave, was_interrupted

        if was_interrupted(error):
            leave()
        raise


def _interrupt_later(unraisable: Any) -> None:
    """Python drops an error in a callback of the garbage collector, also an interrupt."""
    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        timer = Timer(LATER, os.kill, (os.getpid(), signal.SIGINT))
        timer.daemon = True
        timer.start()
    else:
        sys.__unraisablehook__(unraisable)


if __name__ == "__main__":
    main()
