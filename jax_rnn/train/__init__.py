"""Training: one compiled program."""

from jax_rnn.train.loop import History, NonFiniteLossError, fit
from jax_rnn.train.seeds import fit_seeds

__all__ = ["History", "NonFiniteLossError", "fit", "fit_seeds"]
