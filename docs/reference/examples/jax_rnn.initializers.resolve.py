from jax_rnn import initializers

assert initializers.resolve("torch") is initializers.TORCH
assert initializers.resolve(initializers.FLAX) is initializers.FLAX  # a scheme stays as it is
