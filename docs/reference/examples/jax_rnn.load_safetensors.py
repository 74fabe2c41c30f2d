import tempfile
from pathlib import Path

from flax import nnx

from jax_rnn import LSTMCell, load_safetensors, save_safetensors

trained, fresh = (LSTMCell(3, 4, rngs=nnx.Rngs(seed)) for seed in (0, 1))
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "lstm.safetensors"
    save_safetensors(trained, path)
    load_safetensors(fresh, path)
assert (fresh.weight_ih[...] == trained.weight_ih[...]).all()
