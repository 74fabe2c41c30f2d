"""The tasks, each against its definition in plain Python."""

from itertools import permutations

import jax
import numpy as np
import pytest

from jax_rnn.probes.found import TASKS
from jax_rnn.probes.tasks import memory, real

B = 5


def drawn(name, length=None, held_out=False):
    task = TASKS[name]()
    draw = task.sample_held_out if held_out else task.sample
    example = draw(jax.random.key(0), B, length or task.length)
    return task, *map(np.asarray, example)


def test_parity_and_s3_are_running_products():
    _, x, y, *_ = drawn("parity")
    np.testing.assert_array_equal(y, x.cumsum(1) % 2)
    _, x, y, *_ = drawn("s3")
    elements = list(permutations(range(3)))
    for row, states in zip(x, y, strict=True):
        product = (0, 1, 2)
        for symbol, state in zip(row, states, strict=True):
            product = tuple(product[k] for k in elements[symbol])
            assert elements[state] == product
    assert len(np.unique(y)) == 6


def test_copying_repeats_the_first_ten_after_the_mark():
    task, x, y, weight, scored = drawn("copying")
    np.testing.assert_array_equal(y[:, -10:], x[:, :10])
    assert (x[:, -11] == memory.GO).all() and (x[:, 10:-11] == memory.BLANK).all()
    assert (x[:, -10:] == memory.BLANK).all() and (y[:, :-10] == memory.BLANK).all()
    assert weight.all() and scored.sum() == 10 * B
    assert task.baseline_loss == pytest.approx(10 * np.log(8) / 80)


def test_selective_copying_repeats_the_symbols_in_their_order():
    _, x, y, _, scored = drawn("selective_copying")
    for row, target in zip(x, y, strict=True):
        assert [s for s in row[:-16] if s < 14] == target[-16:].tolist()
    assert scored[:, -16:].all() and scored.sum() == 16 * B


def test_adding_gives_the_sum_of_two_marked_numbers():
    task, x, y, weight, _ = drawn("adding")
    assert (x[..., 1].sum(1) == 2).all() and (x[:, : task.length // 2, 1].sum(1) == 1).all()
    np.testing.assert_allclose(y[:, -1], (x[..., 0] * x[..., 1]).sum(1), rtol=1e-6)
    assert weight.sum() == B


def test_recall_asks_for_the_values_of_keys():
    task, x, y, _, scored = drawn("recall")
    for row, answers in zip(x, y, strict=True):
        told = dict(zip(row[0:16:2], row[1:16:2] - task.keys, strict=True))
        assert len(told) == task.pairs
        assert [told[key] for key in row[16:]] == answers[16:].tolist()
    assert not scored[:, :16].any() and scored[:, 16:].all()


def test_dyck_counts_open_brackets():
    _, x, y, *_ = drawn("dyck", 200)
    np.testing.assert_array_equal(y, (2 * x - 1).cumsum(1))
    assert y.min() == 0 and y.max() == 7


def test_anbn_ends_a_word_where_the_letters_are_as_many():
    _, x, y, _, scored = drawn("anbn", 200)
    for row, ends in zip(x, y, strict=True):
        count = 0
        for k, (symbol, end) in enumerate(zip(row, ends, strict=True)):
            count += 1 - 2 * symbol
            assert bool(end) == (count == 0)
            assert count >= 0
            if end and k + 1 < len(row):
                assert row[k + 1] == 0
    np.testing.assert_array_equal(scored, x)


def test_real_data_keeps_some_for_the_score(monkeypatch):
    images = np.arange(400)[:, None] % 17 + np.zeros((1, 64), int)
    monkeypatch.setattr(real.Digits, "data", (images, np.arange(400)), raising=False)
    for held_out in (False, True):
        _, x, y, *_ = drawn("digits", held_out=held_out)
        assert ((y[:, -1] >= 400 - 297) == held_out).all()
        np.testing.assert_array_equal(x[:, 0], y[:, -1] % 17)
    monkeypatch.setattr(real.CharLM, "data", np.arange(2000), raising=False)
    for held_out in (False, True):
        _, x, y, *_ = drawn("char_lm", 10, held_out)
        np.testing.assert_array_equal(x + 1, y)
        assert ((x >= 1800) == held_out).all()


@pytest.mark.parametrize("name", [name for name in TASKS if name not in ("digits", "char_lm")])
def test_every_task_says_what_it_is(name):
    task = TASKS[name]()
    assert task.title and task.source and task.__doc__
    x, y, weight, scored = task.sample(jax.random.key(1), 2, task.length)
    assert x.shape[:2] == y.shape == weight.shape == scored.shape == (2, task.length)
    assert weight.sum() and scored.sum()
    limit = np.inf if task.numbers else task.outputs
    assert float(y.max()) < limit
