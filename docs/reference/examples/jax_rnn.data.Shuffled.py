import numpy as np

from jax_rnn.data import Shuffled

x, y = np.arange(10.0), np.arange(10)
batches = Shuffled({"x": x, "y": y}, batch_size=4, seed=0)
assert batches.per_epoch == 2  # the last two rows of an epoch are dropped
batch = batches(0, slice(None))
assert (batch["x"] == batch["y"]).all()  # the rows stay together
