"""Checks of runs over several steps, and of the rows of a batch."""

import jax
import numpy as np
from flax import nnx

from jax_rnn.base.typing import combined
from jax_rnn.cells.inputs import lead
from jax_rnn.layers.recurrent import Recurrent
from jax_rnn.scans.base import Constants, Inputs
from jax_rnn.scans.step import project_all
from jax_rnn.testing.advice import GUARD, LAST_AXIS, PURE
from jax_rnn.testing.candidate import Candidate, Wrong, agree, at, named, outcome, sequential
from jax_rnn.testing.compiled import compiled

__all__ = ["loop", "padding", "project", "resets", "resume", "reverse", "rows", "streaming"]


def project(c: Candidate) -> None:
    steps = [named(c.projected(at(c.xs, t))) for t in range(c.steps)]
    inner = jax.vmap(lambda x: c.cell._before(x, None, c.context)[-1])(c.xs)
    agree(
        named(project_all(c.cell, Inputs(inner), Constants(context=c.context))),
        {name: np.stack([step[name] for step in steps]) for name in steps[0]},
        "from project on all steps at once",
        "compute project on the last axis only; computations across steps belong in step",
    )


def loop(c: Candidate) -> None:
    carry, ys = c.carry, []
    for t in range(c.steps):
        carry, y = c.step(carry, at(c.xs, t))
        ys.append(y)
    agree(
        c.run(c.carry, c.xs),
        outcome(carry, np.stack(ys)),
        "after a scan",
        "define a call of the cell as step(carry, project(x)) only",
    )


def resume(c: Candidate) -> None:
    middle = c.steps // 2
    first = c.run(c.carry, at(c.xs, slice(None, middle)))
    second = c.run(c.carry_of(first), at(c.xs, slice(middle, None)))
    agree(
        second | {"y": np.concatenate([first["y"], second["y"]])},
        c.run(c.carry, c.xs),
        f"resumed after {middle} steps",
        "keep the whole state of a step in the carry",
    )


def reverse(c: Candidate) -> None:
    backward = compiled(
        lambda carry, xs: sequential(c.cell, carry, xs, context=c.context, reverse=True)
    )
    flipped = c.run(c.carry, at(c.xs, slice(None, None, -1)))
    agree(
        outcome(*backward(c.carry, c.xs)),
        flipped | {"y": np.asarray(flipped["y"])[::-1]},
        "from the end",
        "compute project and step from a single time step",
    )


def rows(c: Candidate) -> None:
    out = c.run(c.carry, c.xs)

    def row(out, k):
        leaves = {name: np.asarray(leaf) for name, leaf in out.items()}
        return {name: leaf[:, k] if name == "y" else leaf[k] for name, leaf in leaves.items()}

    def pick(k, tree, others, axis=0):
        def choose(leaf, other):
            chosen = np.arange(c.batch) == k
            return np.where(chosen.reshape(-1, *(1,) * (leaf.ndim - axis - 1)), leaf, other)

        return jax.tree.map(choose, tree, others)

    for k in range(c.batch):
        mixed = c.run(pick(k, c.carry, c.other_carry), pick(k, c.xs, c.other_xs, axis=1))
        agree(row(mixed, k), row(out, k), f"in row {k} when other rows change", LAST_AXIS)

    def first(tree, axis=0):
        return jax.tree.map(lambda leaf: np.array(leaf).take(0, axis), tree)

    alone = c.run(first(c.carry), first(c.xs, 1), first(c.context))
    agree(alone, row(out, 0), "without a batch axis", LAST_AXIS)

    def double(tree, axis=0):
        return jax.tree.map(lambda leaf: np.stack([np.roll(leaf, 1, axis), leaf], axis), tree)

    twice = c.run(double(c.carry), double(c.xs, 1), double(c.context))
    expected = {name: double(leaf, 1 if name == "y" else 0) for name, leaf in out.items()}
    agree(twice, expected, "with two batch axes", LAST_AXIS)


def resets(c: Candidate) -> None:
    middle = c.steps // 2
    resets = np.broadcast_to(np.arange(c.steps)[:, None] == middle, (c.steps, c.batch))
    cut = compiled(lambda *args: sequential(c.cell, *args, context=c.context, resets=resets))
    got = outcome(*cut(c.carry, c.xs))
    before = np.asarray(c.run(c.carry, c.xs)["y"])[:middle]
    rolled = jax.tree.map(lambda leaf: np.roll(leaf, -middle, axis=0), c.xs)
    after = np.asarray(c.run(c.initial, rolled)["y"])[: c.steps - middle]
    agree(
        {"y": got["y"]},
        {"y": np.concatenate([before, after])},
        f"with a reset before step {middle}",
        "use the same shapes and dtypes in initialize_carry as in step",
    )


def streaming(c: Candidate) -> None:
    layer = Recurrent(nnx.clone(c.cell))
    layer.eval()
    every = compiled(lambda xs: layer(xs, context=c.context, return_states=True)[2])
    (returned,) = every(c.xs)
    step = compiled(lambda x, state: layer.step(x, state, context=c.context))
    inner = lead(c.cell, c.example(c.batch))[1:]
    state, outputs, states = layer.initial_state(c.batch, inner=inner), [], []
    for t in range(c.steps):
        y, state = step(at(c.xs, t), state)
        outputs.append(y)
        states.append(state.carries[0])
    expected = c.run(c.initial, c.xs)
    got = {"y": np.stack(outputs)} | {f"carry.{k}": v for k, v in states[-1]._asdict().items()}
    agree(got, expected, "step by step", PURE)
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *states)
    agree(
        returned._asdict(),
        stacked._asdict(),
        "with return_states",
        "return the new carry from step",
    )


def padding(c: Candidate) -> None:
    lengths = np.resize([c.steps // 2, 0, c.steps], c.batch)
    mask = np.arange(c.steps)[:, None] < lengths

    def pad(leaf):
        return np.where(mask.reshape(mask.shape + (1,) * (leaf.ndim - 2)), leaf, np.nan)

    padded = jax.tree.map(pad, c.variables["x"])
    scan = compiled(c.graded(lambda *args, **context: sequential(*args, mask=mask, **context)))
    masked = scan(c.variables | {"x": padded}, c.fixed, c.cotangent)
    for name, leaf in masked.items():
        if not np.isfinite(leaf).all():
            raise Wrong(
                f"{name} that is not finite",
                "make step differentiable at an input of zeros, the input of a masked step: "
                + GUARD,
            )
    expected = c.definition(lengths)
    agree(masked, expected, "with masked steps", LAST_AXIS)

    states = [np.asarray(leaf)[None] for leaf in c.carry]
    hx = states[0] if len(states) == 1 else tuple(states)
    layer = Recurrent(nnx.clone(c.cell))
    layer.eval()
    xs = combined(padded, c.fixed["x"])
    call = compiled(lambda xs, hx: layer(xs, hx, lengths=lengths, context=c.context))
    output, last = call(xs, hx)
    fields = [np.asarray(leaf)[0] for leaf in ([last] if len(states) == 1 else last)]
    agree(
        outcome(type(c.carry)(*fields), output),
        {name: leaf for name, leaf in expected.items() if name == "y" or name[:6] == "carry."},
        "from Recurrent(cell) with lengths",
        "use the dtype of the parameters for every floating-point field of the carry",
    )
