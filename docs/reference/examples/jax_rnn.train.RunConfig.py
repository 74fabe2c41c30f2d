import tempfile
from pathlib import Path

from jax_rnn.train import Run, RunConfig

config = RunConfig(
    name="first try",
    hyperparameters={"learning_rate": 0.1},  # shown in the README of the run
    own={"data": "book.txt"},  # whatever is yours
)
with tempfile.TemporaryDirectory() as folder, Run(Path(folder) / "mine", config) as run:
    assert run.config.own == {"data": "book.txt"}
