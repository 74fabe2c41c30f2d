"""Checks of runs over several steps, and of the rows of a batch."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jax_rnn.recurrent import Recurrent
from jax_rnn.sequences import lengths_to_mask
from jax_rnn.testing.advice import GUARD, LAST_AXIS, PURE
from jax_rnn.testing.candidate import Candidate, Wrong, agree, named, outcome, sequential

__all__ = ["loop", "padding", "project", "resets", "resume", "reverse", "rows", "streaming"]


def project(c: Candidate) -> None:
    steps = [named(c.cell.project(x)) for x in c.xs]
    agree(
        named(c.cell.project(c.xs)),
        {name: np.stack([step[name] for step in steps]) for name in steps[0]},
        "from project on all steps at once",
        "compute project on the last axis only; computations across steps belong in step",
    )


def loop(c: Candidate) -> None:
    carry, ys = c.carry, []
    for x in c.xs:
        carry, y = c.cell(carry, x)
        ys.append(y)
    agree(
        c.run(c.carry, c.xs),
        outcome(carry, np.stack(ys)),
        "after a scan",
        "define a call of the cell as step(carry, project(x)) only",
    )


def resume(c: Candidate) -> None:
    middle = c.steps // 2
    first = c.run(c.carry, c.xs[:middle])
    second = c.run(c.carry_of(first), c.xs[middle:])
    agree(
        second | {"y": np.concatenate([first["y"], second["y"]])},
        c.run(c.carry, c.xs),
        f"resumed after {middle} steps",
        "keep the whole state of a step in the carry",
    )


def reverse(c: Candidate) -> None:
    backward = jax.jit(lambda carry, xs: sequential(c.cell, carry, xs, reverse=True))
    flipped = c.run(c.carry, c.xs[::-1])
    agree(
        outcome(*backward(c.carry, c.xs)),
        flipped | {"y": flipped["y"][::-1]},
        "from the end",
        "compute project and step from a single time step",
    )


def rows(c: Candidate) -> None:
    out = c.run(c.carry, c.xs)

    def row(out, k):
        return {name: leaf[:, k] if name == "y" else leaf[k] for name, leaf in out.items()}

    def pick(k, leaf, other, axis=0):
        chosen = np.arange(c.batch) == k
        return np.where(chosen.reshape(-1, *(1,) * (leaf.ndim - axis - 1)), leaf, other)

    for k in range(c.batch):
        carry = jax.tree.map(lambda leaf, other, k=k: pick(k, leaf, other), c.carry, c.other_carry)
        mixed = c.run(carry, pick(k, c.xs, c.other_xs, axis=1))
        agree(row(mixed, k), row(out, k), f"in row {k} when other rows change", LAST_AXIS)

    alone = c.run(jax.tree.map(lambda leaf: np.array(leaf)[0], c.carry), np.array(c.xs)[:, 0])
    agree(alone, row(out, 0), "without a batch axis", LAST_AXIS)

    def double(leaf, axis):
        return np.stack([np.roll(leaf, 1, axis), leaf], axis)

    twice = c.run(jax.tree.map(lambda leaf: double(leaf, 0), c.carry), double(c.xs, 1))
    expected = {name: double(leaf, 1 if name == "y" else 0) for name, leaf in out.items()}
    agree(twice, expected, "with two batch axes", LAST_AXIS)


def resets(c: Candidate) -> None:
    at = c.steps // 2
    resets = np.broadcast_to(np.arange(c.steps)[:, None] == at, (c.steps, c.batch))
    cut = jax.jit(lambda carry, xs: sequential(c.cell, carry, xs, resets=resets))
    got = outcome(*cut(c.carry, c.xs))
    before = np.asarray(c.run(c.carry, c.xs)["y"])[:at]
    after = np.asarray(c.run(c.initial, np.roll(c.xs, -at, axis=0))["y"])[: c.steps - at]
    agree(
        {"y": got["y"]},
        {"y": np.concatenate([before, after])},
        f"with a reset before step {at}",
        "use the same shapes and dtypes in initialize_carry as in step",
    )


def streaming(c: Candidate) -> None:
    layer = Recurrent(nnx.clone(c.cell))
    layer.eval()
    (recorded,) = layer(c.xs, return_states=True)[2]
    step = jax.jit(lambda x, state: layer.step(x, state))
    state, outputs, states = layer.initial_state(c.batch), [], []
    for x in c.xs:
        y, state = step(x, state)
        outputs.append(y)
        states.append(state.carries[0])
    expected = c.run(c.initial, c.xs)
    got = {"y": np.stack(outputs)} | {f"carry.{k}": v for k, v in states[-1]._asdict().items()}
    agree(got, expected, "step by step", PURE)
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *states)
    agree(
        recorded._asdict(),
        stacked._asdict(),
        "recorded at every step",
        "return the new carry from step",
    )


def padding(c: Candidate) -> None:
    lengths = np.resize([c.steps // 2, 0, c.steps], c.batch)
    mask = lengths_to_mask(lengths, c.steps)
    padded = jnp.asarray(np.where(mask[..., None], c.xs, np.nan))
    scan = jax.jit(c.graded(lambda *args: sequential(*args, mask=mask)))
    masked = scan(c.variables | {"x": padded}, c.counters, c.cotangent)
    for name, leaf in masked.items():
        if not np.isfinite(leaf).all():
            raise Wrong(
                f"{name} that is not finite",
                "make step differentiable at an input of zeros, the input of a masked step: "
                + GUARD,
            )
    expected = c.definition(lengths)
    agree(masked, expected, "with masked steps", LAST_AXIS)

    states = [leaf[None] for leaf in c.carry]
    hx = states[0] if len(states) == 1 else tuple(states)
    layer = Recurrent(nnx.clone(c.cell))
    layer.eval()
    output, last = layer(padded, hx, lengths=lengths)
    fields = [last[0]] if len(states) == 1 else [leaf[0] for leaf in last]
    agree(
        outcome(type(c.carry)(*fields), output),
        {name: leaf for name, leaf in expected.items() if name == "y" or name[:6] == "carry."},
        "from Recurrent(cell) with lengths",
        "use the dtype of the parameters for every floating-point field of the carry",
    )
