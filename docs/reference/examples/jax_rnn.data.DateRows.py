from jax_rnn.data import END, DateRows, read_dates

rows = read_dates(20).train
assert isinstance(rows, DateRows)
assert len(rows.sources) == len(rows.source_lengths) == 20
assert rows.targets.shape == (20, 11)  # YYYY-MM-DD and END
assert (rows.targets[:, -1] == END).all()
