import numpy as np

from jax_rnn.data import TextBatches

batches = TextBatches(np.arange(41), batch_size=2, window=5)
assert batches.per_epoch == 4  # windows of each stream
batch = batches(1, slice(None))
assert batch["inputs"].tolist() == [[5, 6, 7, 8, 9], [25, 26, 27, 28, 29]]
assert (batch["labels"] == batch["inputs"] + 1).all()  # the next characters
assert not batch["fresh"].any()  # true at the start of the streams only
