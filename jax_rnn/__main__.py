"""``python -m jax_rnn`` is the command ``jax-rnn``."""

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line; Ctrl-C exits without a traceback, also during imports."""
    try:
        from jax_rnn import cli
    except BaseException as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, KeyboardInterrupt):
            cause = cause.__cause__ or cause.__context__
        if cause is None:
            raise
        sys.exit(130)
    cli.main()


if __name__ == "__main__":
    main()
