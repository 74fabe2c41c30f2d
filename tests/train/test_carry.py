"""The carry at the end of an epoch: it goes on, or starts anew."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jax_rnn import fit
from jax_rnn.data import TextBatches
from jax_rnn.train import Run
from jax_rnn.train.seeds import fit_seeds
from tests.kit import refused
from tests.train.kit import SGD, Weight

FIRST = jnp.full((1, 2), 5.0)


class Batches:
    """Batches of ones, three in an epoch."""

    size, tokens, per_epoch = 2, 2, 3

    def __call__(self, step, rows):
        return np.ones(2, np.float32)[rows]


def loss(model, batch, carry):
    """The metrics are the carry before the batch; afterwards it is one more."""
    return model.weight[...] * batch.mean(), carry, carry + 1


def seen(data, steps=7, loss=loss, **options):
    """The carries that the batches got, less the first one."""
    options = {"carry": FIRST, "optimizer": SGD} | options
    history = fit(Weight(size=()), loss, data, steps=steps, **options)
    return (history.metrics - FIRST)[:, 0, 0].tolist()


@pytest.mark.parametrize("listed", [False, True])
def test_goes_on_unless_it_starts_anew(listed):
    options = {}
    if listed:
        options["loss"] = lambda model, batch, carry: loss(model, *batch, carry)
    data = [(np.ones(2, np.float32),)] * 3 if listed else Batches()
    assert seen(data, **options) == [*range(7)]
    assert seen(data, restart_carry=True, **options) == [0, 1, 2, 0, 1, 2, 0]


def test_with_the_same_arrays_every_step_is_an_epoch():
    assert seen(np.ones(2, np.float32), steps=3, restart_carry=True) == [0, 0, 0]


def test_starts_anew_within_a_step_of_several_batches():
    """The batches are 0 1, 2 0, 1 2, 0 1 of their epochs, and metrics are means over a step."""
    assert seen(Batches(), steps=4, accumulate=2, restart_carry=True) == [0.5, 1, 1.5, 0.5]


def test_of_each_seed_starts_anew_as_that_of_fit():
    options = {"carry": lambda model: FIRST, "restart_carry": True}
    options |= {"seeds": [0, 1], "steps": 4, "optimizer": SGD}
    history = fit_seeds(lambda rngs: Weight(size=()), loss, lambda seed: Batches(), **options)
    assert (history.metrics - FIRST)[:, :, 0, 0].tolist() == [[0, 1, 2, 0]] * 2


@pytest.mark.parametrize("restart", [False, True])
def test_is_resumed_within_an_epoch(restart, tmp_path):
    whole = seen(Batches(), steps=7, restart_carry=restart)
    parts = []
    for steps in (2, 7):
        with Run(tmp_path, {}, resume=True) as run:
            parts += seen(Batches(), steps=steps, restart_carry=restart, run=run)
    assert parts == whole


def test_over_a_mesh_starts_anew():
    mesh = jax.make_mesh((2,), ("data",), devices=jax.devices()[:2])
    assert seen(Batches(), steps=4, restart_carry=True, mesh=mesh) == [0, 1, 2, 0]


def test_of_windows_of_a_text_is_marked_where_its_rows_begin_again():
    batches = TextBatches(np.arange(13), batch_size=2, window=2)
    assert batches.per_epoch == 3
    fresh = [batches(step, slice(None))["fresh"].tolist() for step in range(4)]
    assert fresh == [[True] * 2, [False] * 2, [False] * 2, [True] * 2]


def test_that_cannot_start_anew_is_refused():
    words = "restart_carry: expected a carry |; pass carry="
    refused(ValueError, words, lambda: seen(Batches(), carry=None, restart_carry=True))
    endless = Batches()
    endless.per_epoch = None
    words = "restart_carry: expected data with per_epoch, |; add"
    refused(ValueError, words, lambda: seen(endless, restart_carry=True))
