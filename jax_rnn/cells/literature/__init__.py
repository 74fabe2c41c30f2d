"""Cells of the literature, one a file; import them from ``jax_rnn.cells``."""
