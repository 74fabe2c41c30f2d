"""Checks that every scan of the library gives the same, with random numbers too."""

import warnings
from functools import partial

import jax
import numpy as np

from jax_rnn.cells.randomness import draw_step, is_random
from jax_rnn.scans.checkpointed import Checkpointed
from jax_rnn.scans.choice import AUTO, why_slow
from jax_rnn.scans.runner import run, run_step
from jax_rnn.scans.sequential import Sequential
from jax_rnn.testing.advice import NOISE, UPDATE
from jax_rnn.testing.candidate import Candidate, Wrong, agree, at, outcome, sequential
from jax_rnn.testing.compiled import compiled

__all__ = ["noise", "scans"]


def scans(c: Candidate) -> None:
    """A plain run, compared with the definition, and one with all options at once."""
    scans = [scan for scan in AUTO if not isinstance(scan, Sequential) and scan.supports(c.cell)]
    if why := why_slow(c.cell, Sequential()):
        warnings.warn(why, stacklevel=4)
    if not scans:
        return
    lengths = np.resize([c.steps // 2, c.steps, 0], c.batch)
    masked = {"mask": np.arange(c.steps)[:, None] < lengths, "reverse": True, "resets": c.resets}
    for how in ({}, masked):
        plain = compiled(c.graded(partial(sequential, **how)))
        expected = plain(c.variables, c.fixed, c.cotangent) if how else c.definition()
        values = {k: leaf for k, leaf in expected.items() if not k.startswith("gradient")}
        for scan in scans:
            fast = compiled(c.graded(partial(run, scan=scan, **how)))
            got = fast(c.variables, c.fixed, c.cotangent)
            where = f"from {type(scan).__name__}" + (", masked, reset, from the end" if how else "")
            agree(got, values, where, UPDATE, 1e-12)
            agree(got, expected, where, UPDATE, 1e-10)


def noise(c: Candidate) -> None:
    if not is_random(c.cell):
        return
    key, scans = jax.random.key(c.seed), [Sequential(), Checkpointed(2, Sequential())]
    scans += [scan for scan in AUTO if scan.supports(c.cell)]
    draw = partial(run, c.cell, c.initial, c.xs, context=c.context)
    plain, *others = (outcome(*draw(key=key, scan=scan)) for scan in scans)
    for scan, other in zip(scans[1:], others, strict=True):
        agree(other, plain, f"with the same key from {type(scan).__name__}", NOISE, 1e-12)
    state, outputs = c.initial, []
    for t in range(c.steps):
        x = at(c.xs, t)
        state, y = run_step(c.cell, state, x, draw_step(c.cell, key, t, x), context=c.context)
        outputs.append(y)
    stacked = {"y": np.stack(outputs)}
    agree(stacked, {"y": plain["y"]}, "with the same key step by step", NOISE)
    if np.array_equal(plain["y"], draw()[1]):
        raise Wrong("the same outputs with a key and without", NOISE)
