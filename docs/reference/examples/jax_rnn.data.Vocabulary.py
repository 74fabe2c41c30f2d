from jax_rnn.data import Vocabulary

vocabulary = Vocabulary("hello", first=1)  # the id 0 stays free for padding
assert vocabulary.symbols == "ehlo" and len(vocabulary) == 5
ids = vocabulary.encode("hello")
assert ids.tolist() == [2, 1, 3, 3, 4]
assert vocabulary.decode(ids) == "hello"
