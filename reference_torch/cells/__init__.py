"""Short torch versions of cells of the literature, one step each, with the names of ``jax_rnn``."""
