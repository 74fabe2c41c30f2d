import tempfile
from pathlib import Path

from jax_rnn.data import Text, read_text

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "book.txt"
    path.write_text("to be or not to be\n" * 10, encoding="utf-8")
    text = read_text(path, held_out=0.1)
    assert isinstance(text, Text)
    assert text.train.shape == (171,) and text.held_out.shape == (19,)
    print(text.vocabulary, text.sha256)
