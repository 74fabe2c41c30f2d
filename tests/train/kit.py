"""What the tests of training share: the smallest model, its data, and changes of run folders."""

import json

import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from jax_rnn import fit
from jax_rnn.train import Checkpoints
from jax_rnn.train.config import as_config, seal
from tests.kit import rewrite_checkpoint

SGD = optax.sgd(0.1)


class Weight(nnx.Module):
    """One parameter, of ones."""

    def __init__(self, rngs=None, size=2):
        self.weight = nnx.Param(jnp.ones(size))


def squares(model, batch):
    return ((batch["x"] @ model.weight[...]) ** 2).mean()


def batch(k=0, rows=4):
    return {"x": np.full((rows, 2), k + 1.0)}


def train(data, model=None, **options):
    return fit(model or Weight(), squares, data, **{"steps": 1, "optimizer": SGD} | options)


def enter(run):
    with run:
        pass


def kept(folder):
    return Checkpoints(folder / "checkpoints")


def reseal(folder, config):
    """Another configuration, and checkpoints that claim to be made with it, as of an attacker."""
    (folder / "config.json").write_text(json.dumps(config))
    for step in kept(folder).steps():
        notes = dict(kept(folder).about(step).notes) | {"config": seal(as_config(config))}
        rewrite_checkpoint(kept(folder).path(step), notes=notes)
