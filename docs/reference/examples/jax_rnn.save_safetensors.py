import tempfile
from pathlib import Path

from flax import nnx
from safetensors.torch import load_file

from jax_rnn import GRU, save_safetensors

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "gru.safetensors"
    save_safetensors(GRU(3, 4, rngs=nnx.Rngs(0)), path)
    tensors = load_file(path)  # torch reads it, under its own names
assert tensors["weight_ih_l0"].shape == (3 * 4, 3)
