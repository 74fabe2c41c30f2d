"""``python -m jax_rnn`` is the command ``jax-rnn``."""

__all__ = ["main"]


def main() -> None:
    """Run the command line; Ctrl-C exits without a traceback, also during imports."""
    try:
        from jax_rnn.app import cli

        cli.main()
    except BaseException as error:
        from jax_rnn.app.failures import leave, was_interrupted

        if was_interrupted(error):
            leave()
        raise


if __name__ == "__main__":
    main()
