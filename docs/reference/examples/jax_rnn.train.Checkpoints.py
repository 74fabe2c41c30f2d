import tempfile
from pathlib import Path

import jax.numpy as jnp

from jax_rnn.train import Checkpoints

with tempfile.TemporaryDirectory() as folder:
    checkpoints = Checkpoints(Path(folder) / "checkpoints", keep=2)
    for step, loss in ((1, 0.5), (2, 0.2), (3, 0.4), (4, 0.3)):
        checkpoints.save(step, {"w": jnp.full(3, step)}, {"loss": loss})
    assert checkpoints.steps() == [2, 3, 4]  # the latest two and the best one
    assert checkpoints.best() == 2 and checkpoints.latest() == 4
    restored = checkpoints.restore(2, {"w": jnp.zeros(3, int)})
assert restored["w"].tolist() == [2, 2, 2]
