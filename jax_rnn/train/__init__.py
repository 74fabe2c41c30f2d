"""Training: one compiled program."""
