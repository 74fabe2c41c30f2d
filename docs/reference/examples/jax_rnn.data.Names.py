from jax_rnn.data import Names, read_names

names = read_names()
assert isinstance(names, Names)
language = names.languages[names.train.language[0]]
letters = names.train.ids[0][: names.train.lengths[0]]
print("".join(names.symbols[i - 1] for i in letters), language)
