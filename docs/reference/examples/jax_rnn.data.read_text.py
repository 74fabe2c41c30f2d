import tempfile
from pathlib import Path

from jax_rnn.data import TextBatches, read_text

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "book.txt"
    path.write_text("to be or not to be\n" * 10, encoding="utf-8")
    text = read_text(path)
batches = TextBatches(text.train, batch_size=4, window=6)
assert batches(0, slice(None))["inputs"].shape == (4, 6)
