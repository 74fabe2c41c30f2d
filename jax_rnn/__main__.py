"""``python -m jax_rnn`` is ``jax-rnn``."""

from jax_rnn.cli import main

if __name__ == "__main__":
    main()
