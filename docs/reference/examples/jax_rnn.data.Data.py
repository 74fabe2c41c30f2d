import numpy as np

from jax_rnn.data import Data, Shuffled

x = np.random.default_rng(0).normal(size=(10, 7, 3))  # (N, T, I)
data = Data(train={"x": x[:8]}, held_out={"x": x[8:]}, vocabulary={})
batches = Shuffled(data.train, batch_size=4, seed=0)
assert batches.per_epoch == 2
