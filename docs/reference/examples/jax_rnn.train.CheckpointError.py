import tempfile
from pathlib import Path

import jax.numpy as jnp

from jax_rnn.train import CheckpointError, Checkpoints

with tempfile.TemporaryDirectory() as folder:
    checkpoints = Checkpoints(Path(folder) / "checkpoints")
    checkpoints.save(1, {"w": jnp.ones(3)}, {"loss": 0.5})
    checkpoints.path(1).write_bytes(b"damaged")
    try:
        checkpoints.restore(1, {"w": jnp.zeros(3)})
    except CheckpointError as error:
        print(error)
    else:
        raise AssertionError("expected a CheckpointError")
