"""What ``jax-rnn`` does for lessons on real data, a command a file."""
