"""The commands of ``jax-rnn``, one per file."""
