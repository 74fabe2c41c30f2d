"""The checks of ``check_cell``, cheap and fundamental ones first."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import export, lax

from jax_rnn.interop.state_dict import load_torch_state_dict, torch_state_dict
from jax_rnn.recurrent import Recurrent
from jax_rnn.scans.base import noise_of
from jax_rnn.scans.checkpointed import Checkpointed
from jax_rnn.scans.choice import AUTO, run
from jax_rnn.scans.noise import draw_step, is_random
from jax_rnn.scans.sequential import Sequential
from jax_rnn.sequences import lengths_to_mask
from jax_rnn.testing.candidate import SCAN, Candidate, Wrong, agree, named, outcome, snapshot
from jax_rnn.testing.contract import contract, dtypes

__all__ = ["QUESTIONS", "Question"]


class Question(NamedTuple):
    """One check that every cell must pass.

    Attributes:
        name: short name.
        expects: the expected result, as it follows "expected" in the message.
        ask: function that raises ``Wrong``, or the error of the cell.
        fix: advice if the cell raises an error.
        needed: whether the following checks require this one.
    """

    name: str
    expects: str
    ask: Callable[[Candidate], None]
    fix: str
    needed: bool = False


_sequential = partial(run, scan=SCAN)

_PURE = "do not write to the cell in step; keep its state in the carry"


def _purity(c: Candidate) -> None:
    def call():
        carry = c.cell.initialize_carry((c.batch, c.cell.input_size))
        return named((carry, c.cell.project(c.xs[0]), c.cell(c.carry, c.xs[0])))

    call()  # attributes that the first call sets and later calls do not change are allowed
    attributes, variables = snapshot(c.cell)
    first = call()
    attributes_after, variables_after = snapshot(c.cell)
    changed = [k for k in variables_after if not _same(variables.get(k), variables_after[k])]
    if changed:
        raise Wrong(f"a call that changed {', '.join(changed)}", _PURE)
    if attributes != attributes_after:
        raise Wrong("a call that changed an attribute of the cell", _PURE)
    second = call()
    if any(not _same(first[k], second[k]) for k in first):
        raise Wrong(
            "another result from a second call with the same arguments",
            _PURE + ", and pass random numbers with the input",
        )


def _same(a: Any, b: Any) -> bool:
    return a is not None and np.array_equal(a, b)


_GUARD = "guard norms, divisions, sqrt and log, e.g. sqrt(sum(x**2) + eps)"

_HASHABLE = (
    "use numbers, strings, tuples or functions as attributes of the cell, not lists or dicts"
)


def _trace(c: Candidate) -> None:
    try:
        hash(nnx.graphdef(c.cell))
    except TypeError as error:
        raise Wrong(f"attributes that jax.jit cannot hash: {error}", _HASHABLE) from error
    written = []

    @jax.jit
    def step(state, carry, x):
        cell = nnx.merge(nnx.graphdef(c.cell), state)
        before = named(nnx.state(cell))
        out = outcome(*cell(carry, x))
        after = named(nnx.state(cell))
        written.extend(name for name in after if after[name] is not before.get(name))
        return out

    traced = step(nnx.state(c.cell), c.carry, c.xs[0])
    if written:
        raise Wrong(f"a traced call that changed {', '.join(written)}", _PURE)
    agree(
        traced,
        outcome(*c.cell(c.carry, c.xs[0])),
        "under jax.jit",
        "compute step from its arguments and the parameters only",
    )


def _project(c: Candidate) -> None:
    steps = [named(c.cell.project(x)) for x in c.xs]
    agree(
        named(c.cell.project(c.xs)),
        {name: np.stack([step[name] for step in steps]) for name in steps[0]},
        "from project on all steps at once",
        "compute project on the last axis only; computations across steps belong in step",
    )


def _scan(c: Candidate) -> None:
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


def _resume(c: Candidate) -> None:
    middle = c.steps // 2
    first = c.run(c.carry, c.xs[:middle])
    second = c.run(c.carry_of(first), c.xs[middle:])
    agree(
        second | {"y": np.concatenate([first["y"], second["y"]])},
        c.run(c.carry, c.xs),
        f"resumed after {middle} steps",
        "keep the whole state of a step in the carry",
    )


def _reverse(c: Candidate) -> None:
    backward = jax.jit(lambda carry, xs: _sequential(c.cell, carry, xs, reverse=True))
    flipped = c.run(c.carry, c.xs[::-1])
    agree(
        outcome(*backward(c.carry, c.xs)),
        flipped | {"y": flipped["y"][::-1]},
        "from the end",
        "compute project and step from a single time step",
    )


_LAST_AXIS = (
    "use the last axis (axis=-1) in every sum and mean, and keep the others in every reshape: "
    "(*batch, features), with any number of batch axes"
)


def _rows(c: Candidate) -> None:
    out = c.run(c.carry, c.xs)

    def row(out, k):
        return {name: leaf[:, k] if name == "y" else leaf[k] for name, leaf in out.items()}

    def pick(k, leaf, other, axis=0):
        chosen = np.arange(c.batch) == k
        return np.where(chosen.reshape(-1, *(1,) * (leaf.ndim - axis - 1)), leaf, other)

    for k in range(c.batch):
        carry = jax.tree.map(lambda leaf, other, k=k: pick(k, leaf, other), c.carry, c.other_carry)
        mixed = c.run(carry, pick(k, c.xs, c.other_xs, axis=1))
        agree(row(mixed, k), row(out, k), f"in row {k} when other rows change", _LAST_AXIS)

    alone = c.run(jax.tree.map(lambda leaf: np.array(leaf)[0], c.carry), np.array(c.xs)[:, 0])
    agree(alone, row(out, 0), "without a batch axis", _LAST_AXIS)

    def double(leaf, axis):
        return np.stack([np.roll(leaf, 1, axis), leaf], axis)

    twice = c.run(jax.tree.map(lambda leaf: double(leaf, 0), c.carry), double(c.xs, 1))
    expected = {name: double(leaf, 1 if name == "y" else 0) for name, leaf in out.items()}
    agree(twice, expected, "with two batch axes", _LAST_AXIS)


def _compile(c: Candidate) -> None:
    out = c.run(c.carry, c.xs)
    c.traced.clear()
    c.run(c.initial, c.other_xs)
    c.run(c.carry_of(out), c.other_xs)
    if c.traced:
        raise Wrong(
            f"{len(c.traced)} more",
            "create every field of the initial carry with its dtype, e.g. jnp.full(shape, 1, "
            "dtype), since jnp.full(shape, 1.0) is weakly typed, and use attributes of the cell "
            "that compare equal to themselves",
        )


def _gradients(c: Candidate) -> None:
    fields = c.initial._asdict()
    start = c.variables | {"carry": {name: fields[name] for name in c.variables["carry"]}}
    for name, leaf in c.definition(variables=start).items():
        if not np.isfinite(leaf).all():
            raise Wrong(
                f"{name} that is not finite, from the initial carry",
                f"make step differentiable at the initial carry, mostly zeros: {_GUARD}",
            )
    leaves, structure = jax.tree.flatten(c.variables)
    gradients = c.definition()

    def loss(k, shift):
        moved = [*leaves[:k], leaves[k] + shift, *leaves[k + 1 :]]
        return float(c.definition(variables=structure.unflatten(moved))["loss"])

    for k, name in enumerate(named(c.variables)):
        direction = c.normal(*leaves[k].shape, like=leaves[k], seed=6)
        claimed = float((np.array(gradients[f"gradient of {name}"]) * direction).sum().real)
        for size in (1e-5, 1e-6):  # the second step size for a kink near the first
            measured = (loss(k, size * direction) - loss(k, -size * direction)) / (2 * size)
            if abs(claimed - measured) <= 1e-6 * max(1.0, abs(measured)):
                break
        else:
            raise Wrong(
                f"{claimed:.6g} from jax.grad and {measured:.6g} from finite differences, with "
                f"respect to {name} in a random direction",
                "check the rules of jax.custom_vjp, and whether lax.stop_gradient, a rounding or "
                'a comparison blocks a gradient; if this is intended, use skip=["gradients"]',
            )


def _scans(c: Candidate) -> None:
    """A plain run, compared with the definition, and one with all options at once."""
    scans = [scan for scan in AUTO if not isinstance(scan, Sequential) and scan.supports(c.cell)]
    if not scans:
        return
    lengths = np.resize([c.steps // 2, c.steps, 0], c.batch)
    masked = {"mask": lengths_to_mask(lengths, c.steps), "reverse": True, "resets": c.resets}
    for how in ({}, masked):
        plain = jax.jit(c.graded(partial(_sequential, **how)))
        expected = plain(c.variables, c.counters, c.cotangent) if how else c.definition()
        values = {k: leaf for k, leaf in expected.items() if not k.startswith("gradient")}
        for scan in scans:
            fast = jax.jit(c.graded(partial(run, scan=scan, **how)))
            got = fast(c.variables, c.counters, c.cotangent)
            where = f"from {type(scan).__name__}" + (", masked, reset, from the end" if how else "")
            agree(got, values, where, _UPDATE, 1e-12)
            agree(got, expected, where, _UPDATE, 1e-10)


def _resets(c: Candidate) -> None:
    at = c.steps // 2
    resets = np.broadcast_to(np.arange(c.steps)[:, None] == at, (c.steps, c.batch))
    cut = jax.jit(lambda carry, xs: _sequential(c.cell, carry, xs, resets=resets))
    got = outcome(*cut(c.carry, c.xs))
    before = np.asarray(c.run(c.carry, c.xs)["y"])[:at]
    after = np.asarray(c.run(c.initial, np.roll(c.xs, -at, axis=0))["y"])[: c.steps - at]
    agree(
        {"y": got["y"]},
        {"y": np.concatenate([before, after])},
        f"with a reset before step {at}",
        "use the same shapes and dtypes in initialize_carry as in step",
    )


def _streaming(c: Candidate) -> None:
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
    agree(got, expected, "step by step", _PURE)
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *states)
    agree(
        recorded._asdict(),
        stacked._asdict(),
        "recorded at every step",
        "return the new carry from step",
    )


def _noise(c: Candidate) -> None:
    if not is_random(c.cell):
        return
    key, scans = jax.random.key(c.seed), [Sequential(), Checkpointed(2, Sequential())]
    scans += [scan for scan in AUTO if scan.supports(c.cell)]
    plain, *others = (outcome(*run(c.cell, c.initial, c.xs, key=key, scan=scan)) for scan in scans)
    for scan, other in zip(scans[1:], others, strict=True):
        agree(other, plain, f"with the same key from {type(scan).__name__}", _NOISE, 1e-12)
    state, outputs = c.initial, []
    for t, x in enumerate(c.xs):
        step, sequence = draw_step(c.cell, key, t, (c.batch,))
        cell: Any = c.cell
        state, y = cell.step(state, cell.project(x), noise_of(step, sequence))
        outputs.append(y)
    stacked = {"y": np.stack(outputs)}
    agree(stacked, {"y": plain["y"]}, "with the same key step by step", _NOISE)
    if np.array_equal(plain["y"], run(c.cell, c.initial, c.xs)[1]):
        raise Wrong("the same outputs with a key and without", _NOISE)


_NOISE = (
    "take all random numbers from the third argument of step or update, a Noise with those of the "
    "step and those of the sequence, and draw them in noise and sequence_noise"
)


def _symbolic(c: Candidate) -> None:
    """A program for any batch and length is exported; its values are those of other checks."""
    steps, batch = export.symbolic_shape("T, B")
    xs = jax.ShapeDtypeStruct((steps, batch, c.cell.input_size), c.xs.dtype)
    graphdef, state = nnx.split(c.cell)

    def program(state, xs):
        cell = nnx.merge(graphdef, state)
        return run(cell, cell.initialize_carry(xs.shape[1:]), xs)[1]

    export.export(jax.jit(program), platforms=["cpu"])(state, xs)


_UPDATE = (
    "compute update from its arguments and the parameters, row by row, or run the cell with "
    "scan='sequential'"
)


def _padding(c: Candidate) -> None:
    lengths = np.resize([c.steps // 2, 0, c.steps], c.batch)
    mask = lengths_to_mask(lengths, c.steps)
    padded = jnp.asarray(np.where(mask[..., None], c.xs, np.nan))
    scan = jax.jit(c.graded(lambda *args: _sequential(*args, mask=mask)))
    masked = scan(c.variables | {"x": padded}, c.counters, c.cotangent)
    for name, leaf in masked.items():
        if not np.isfinite(leaf).all():
            raise Wrong(
                f"{name} that is not finite",
                "make step differentiable at an input of zeros, the input of a masked step: "
                + _GUARD,
            )
    expected = c.definition(lengths)
    agree(masked, expected, "with masked steps", _LAST_AXIS)

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


def _transforms(c: Candidate) -> None:
    rows = {name: 1 if name == "y" else 0 for name in c.cotangent}
    variables = {"params": None, "carry": 0, "x": 1}
    batched = jax.jit(jax.vmap(c.graded(_sequential), in_axes=(variables, 0, rows)))
    out = batched(c.variables, c.counters, c.cotangent)
    for name in out:
        if name in ("y", "gradient of x"):
            out[name] = np.swapaxes(out[name], 0, 1)
        elif "carry." not in name:
            out[name] = np.array(out[name]).sum(0)
    agree(out, c.definition(), "under jax.vmap", _LAST_AXIS)


def _checkpoint(c: Candidate) -> None:
    run = jax.jit(c.graded(lambda cell, carry, xs: lax.scan(jax.checkpoint(cell), carry, xs)))
    agree(
        run(c.variables, c.counters, c.cotangent),
        c.definition(),
        "under jax.checkpoint",
        "make step deterministic, since it is recomputed in the backward pass",
    )


_FLAX = "keep Flax's signature, initialize_carry(self, input_shape, rngs=None, carry_init=None)"


def _nnx_rnn(c: Candidate) -> None:
    cell: Any = nnx.clone(c.cell)
    given: Any = nnx.RNN(cell, time_major=True, return_carry=True)(c.xs, initial_carry=c.carry)
    agree(outcome(*given), c.run(c.carry, c.xs), "given a carry", _FLAX)
    carry, ys = nnx.RNN(cell, return_carry=True)(jnp.swapaxes(c.xs, 0, 1))
    own = outcome(carry, np.swapaxes(np.array(ys), 0, 1))
    agree(own, c.run(c.initial, c.xs), "from its own initial carry", _FLAX)


_NAMED = (
    "make every nnx.Param an attribute of the cell or of a module in it, or put several "
    "of them in nnx.List or nnx.Dict: in a tuple they have no name in a state dict"
)


def _saving(c: Candidate) -> None:
    other = nnx.clone(c.cell)
    nnx.update(other, jax.tree.map(lambda leaf: leaf + 1, nnx.state(other, nnx.Param)))
    load_torch_state_dict(other, torch_state_dict(c.cell))
    saved, loaded = (named(nnx.state(cell, nnx.Param)) for cell in (c.cell, other))
    lost = [name for name in saved if not np.array_equal(saved[name], loaded[name])]
    if lost:
        raise Wrong(f"other values of {', '.join(lost)}", _NAMED)


QUESTIONS = (
    Question(
        "contract",
        "sizes, carry and outputs to follow the contract of jax_rnn.Cell",
        contract,
        "set input_size and hidden_size to the sizes of the weights, and write initialize_carry "
        "and step for arrays (*batch, features)",
        needed=True,
    ),
    Question(
        "purity",
        "a call not to change the cell, and a second call to return the same",
        _purity,
        _PURE,
        needed=True,
    ),
    Question(
        "trace",
        "a step under jax.jit to return the same values and to have no side effects",
        _trace,
        _PURE,
        needed=True,
    ),
    Question(
        "dtypes",
        "outputs and carry to have the dtype of the cell",
        dtypes,
        "take every dtype from the parameters",
    ),
    Question(
        "project",
        "project of all steps at once to equal project of each step",
        _project,
        _LAST_AXIS,
    ),
    Question("scan", "a scan to equal a Python loop over the steps", _scan, _PURE),
    Question(
        "resume",
        "two runs, the second from the carry of the first, to equal one run",
        _resume,
        _PURE,
    ),
    Question("reverse", "a reverse scan to equal a scan of the flipped inputs", _reverse, _PURE),
    Question("rows", "the rows of a batch to be independent", _rows, _LAST_AXIS),
    Question(
        "compile",
        "one compilation for all runs with the same shapes",
        _compile,
        _HASHABLE,
    ),
    Question(
        "gradients",
        "gradients to equal finite differences",
        _gradients,
        "make step differentiable in reverse mode: use lax.scan or fori_loop with a fixed number "
        "of iterations, no while_loop",
    ),
    Question(
        "scans",
        "every scan that supports the cell to equal the sequential one, also in gradients",
        _scans,
        _UPDATE,
    ),
    Question(
        "resets",
        "a reset in mid-sequence to equal a run from the initial carry",
        _resets,
        _PURE,
    ),
    Question(
        "streaming",
        "steps one by one, and the recorded states, to equal a run",
        _streaming,
        _PURE,
    ),
    Question(
        "noise",
        "the same key to give the same random numbers under every scan and step by step",
        _noise,
        _NOISE,
    ),
    Question(
        "symbolic",
        "a program for any batch size and length to be exported",
        _symbolic,
        "compute with x.shape only as sizes of new arrays, and do not compare them with numbers",
    ),
    Question(
        "padding",
        "masked steps that contain NaN to affect no value and no gradient",
        _padding,
        _LAST_AXIS,
    ),
    Question(
        "transforms", "vmap and grad of single rows to equal the batch", _transforms, _LAST_AXIS
    ),
    Question(
        "checkpoint",
        "jax.checkpoint of the step not to change values and gradients",
        _checkpoint,
        _PURE,
    ),
    Question("nnx_rnn", "flax.nnx.RNN(cell) to return the same", _nnx_rnn, _FLAX),
    Question(
        "saving",
        "a state dict, loaded into another cell, to make the cells equal bit for bit",
        _saving,
        _NAMED,
    ),
)
