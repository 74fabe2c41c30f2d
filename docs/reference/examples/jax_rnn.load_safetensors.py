import tempfile
from pathlib import Path

from flax import nnx

from jax_rnn import LSTM, load_safetensors, save_safetensors

trained, fresh = (LSTM(3, 4, rngs=nnx.Rngs(seed)) for seed in (0, 1))
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "lstm.safetensors"
    save_safetensors(trained, path)
    load_safetensors(fresh, path)
assert (fresh.cells[0].weight_ih[...] == trained.cells[0].weight_ih[...]).all()
