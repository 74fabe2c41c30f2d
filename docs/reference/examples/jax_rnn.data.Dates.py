from jax_rnn.data import Dates, read_dates

dates = read_dates(20)
assert isinstance(dates, Dates)
assert len(dates.train.sources) == 20
print(len(dates.held_out.sources), dates.vocabulary)
