from jax_rnn.data import NameRows, Shuffled, read_names

rows = read_names().train
assert isinstance(rows, NameRows)
assert len(rows.ids) == len(rows.lengths) == len(rows.language)
assert rows.lengths.max() <= rows.ids.shape[1]  # padded with 0
batches = Shuffled({"ids": rows.ids, "language": rows.language}, batch_size=8, seed=0)
