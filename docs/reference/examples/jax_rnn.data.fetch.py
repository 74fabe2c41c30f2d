from jax_rnn.data import fetch, read_text

path = fetch("tinyshakespeare.txt")  # in $JAX_RNN_DATA, in the cache, or downloaded
text = read_text(path)
print(len(text.train), len(text.held_out))
