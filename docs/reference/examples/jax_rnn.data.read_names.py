from jax_rnn.data import read_names

names = read_names()
print(names.languages, names.symbols)
assert names.train.ids.shape[0] == len(names.train.language)
