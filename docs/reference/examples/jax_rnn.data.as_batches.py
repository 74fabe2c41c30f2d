import numpy as np

from jax_rnn.data import as_batches

same = as_batches({"x": np.ones((8, 3))})  # the same arrays at every step
assert same.size == 8
other = as_batches([{"x": np.zeros((4, 3))}, {"x": np.ones((4, 3))}])  # one batch a step
assert other(0, slice(None))["x"].sum() == 0
