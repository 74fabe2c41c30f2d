"""``python -m jax_rnn`` is the command ``jax-rnn``."""

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line; Ctrl-C exits without a traceback, also during imports."""
    try:
        from jax_rnn.app import cli
    except BaseException as error:
        from jax_rnn.app.failures import INTERRUPTED, was_interrupted

        if was_interrupted(error):
            sys.exit(INTERRUPTED)
        raise
    cli.main()


if __name__ == "__main__":
    main()
