from jax_rnn.data import read_dates

dates = read_dates(20, seed=1)
again = read_dates(20, seed=1)
assert (dates.train.sources == again.train.sources).all()  # the same on every machine
assert dates.train.targets.shape == (20, 11)
