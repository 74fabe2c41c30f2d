"""Messages of training on standard error."""

from rich.console import Console

from jax_rnn.console import say
from jax_rnn.train.mesh import is_main

__all__ = ["notice"]


def notice(text: str) -> None:
    """Print a message on standard error, from the main process only."""
    if is_main():
        say(Console(stderr=True), text)
