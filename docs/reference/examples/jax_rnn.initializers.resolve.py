from jax_rnn.base.initializers import FLAX, TORCH, resolve

assert resolve("torch") is TORCH
assert resolve(FLAX) is FLAX  # a scheme stays as it is
