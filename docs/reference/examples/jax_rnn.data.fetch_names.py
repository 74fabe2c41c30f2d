from jax_rnn.data import fetch_names

paths = fetch_names()  # language -> file
names = paths["Czech"].read_text(encoding="utf-8").splitlines()
print(len(paths), len(names), names[0])
