"""``check_scan``: scans of the library pass, and every mistake is caught in words."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import pytest
from jax import lax

from jax_rnn import GRU, GRUCell, LSTMCell, Recurrent
from jax_rnn.scans import Associative, Checkpointed, Gated, Scan, Sequential, advance
from jax_rnn.testing import ScanExamError, check_scan
from tests.kit import cases, refused, rngs

NAMES = ["form", "values", "reverse", "masks", "resets", "states", "noise", "gradients", "jit"]


@dataclass(frozen=True)
class Loop(Scan):
    """A correct scan, from which the mistakes are made."""

    def __call__(self, cell, carry, inputs, constants, *, reverse=False):
        inputs, constants = self.change(inputs, constants)
        step = lambda carry, inputs: self.step(cell, carry, inputs, constants)  # noqa: E731
        return lax.scan(step, carry, inputs, reverse=self.turn(reverse))

    def change(self, inputs, constants):
        return inputs, constants

    def turn(self, reverse):
        return reverse

    def step(self, cell, carry, inputs, constants):
        return advance(cell, carry, inputs, constants)


class Forward(Loop):
    def turn(self, reverse):
        return False


def without(field):
    """A scan that ignores a field of its inputs."""

    def change(self, inputs, constants):
        return inputs._replace(**{field: None}), constants

    return type(f"Without_{field}", (Loop,), {"change": change})


class BlocksGradients(Loop):
    def step(self, cell, carry, inputs, constants):
        return advance(cell, lax.stop_gradient(carry), inputs, constants)


class LosesStates(Loop):
    def __call__(self, *arguments, **options):
        last, ys = super().__call__(*arguments, **options)
        return last, (ys[0], ys[0]) if isinstance(ys, tuple) else ys


class Doubles(Loop):
    def step(self, cell, carry, inputs, constants):
        carry, y = advance(cell, carry, inputs, constants)
        return carry, jax.tree.map(lambda leaf: 2 * leaf, y)


@dataclass(frozen=True)
class Extra(Loop):
    def __call__(self, cell, carry, inputs, constants, *, reverse=False):
        last, ys = super().__call__(cell, carry, inputs, constants, reverse=reverse)
        return last, ys, {"steps": jnp.asarray(inputs.steps)}


SCANS = {
    "Loop": Loop(),
    "Sequential": Sequential(),
    "Sequential, unrolled": Sequential(unroll=2),
    "Sequential, inside": Sequential(project="inside", unroll=7),
    "Gated": Gated(),
    "Gated, unrolled": Gated(unroll=2),
    "Associative": Associative(parallel=True),
    "Checkpointed": Checkpointed(2),
    "Extra": Extra(),
}


@cases("name", SCANS, short=1)
def test_scans_pass(name):
    assert check_scan(SCANS[name]) == NAMES


BAD = {
    "values": Doubles,
    "reverse": Forward,
    "masks": without("mask"),
    "resets": without("resets"),
    "noise": without("noise"),
    "states": LosesStates,
    "values, gradients": BlocksGradients,
}


@cases("name", BAD, short=2)
def test_a_mistake_is_named_with_its_fix(name):
    scan = BAD[name]()
    check, *_ = name.split(",")
    with pytest.raises(ScanExamError, match=f"{type(scan).__name__} of .*, {check}: .*; "):
        check_scan(scan, GRUCell(2, 4, rngs=rngs()) if check != "noise" else None)


def test_a_scan_that_recompiles_is_caught():
    class Fresh(Loop):
        def __eq__(self, other):
            return self is other

        __hash__ = object.__hash__

    refused(TypeError, "expected a scan that equals its copy", lambda: check_scan(Fresh()))


class Mutable(Scan):
    def __init__(self):
        self.every = 3

    def __call__(self, cell, carry, inputs, constants, *, reverse=False):
        raise NotImplementedError


@dataclass
class Thawed(Mutable):
    every: int = 3


@dataclass(frozen=True)
class OneWay(Scan):
    def __call__(self, cell, carry, inputs, constants):
        raise NotImplementedError


USES = {
    "layer": lambda scan: GRU(3, 4, scan=scan, rngs=rngs()),
    "exam": check_scan,
    "chunks": lambda scan: Checkpointed(3, scan),
}


@pytest.mark.parametrize(
    ("scan", "words"),
    [
        (Thawed(), "expected a scan that can be hashed, got Thawed|frozen=True"),
        (Mutable(), "expected a scan that cannot be changed|got Mutable"),
        (OneWay(), "expected OneWay.__call__(self, cell, |reverse=False), got (self, cell"),
    ],
)
@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_a_scan_of_the_wrong_form_is_refused(scan, words, use, unchecked):
    refused(TypeError, words, lambda: use(scan))


def test_extra_outputs_of_a_scan_are_returned_by_the_layer():
    layer = Recurrent(GRUCell(3, 4, rngs=rngs()), LSTMCell(4, 4, rngs=rngs()), scan=Extra())
    x = jnp.ones((5, 2, 3))
    output, _, extras = layer(x, return_extras=True)
    assert output.shape == (5, 2, 4) and [extra["steps"] for extra in extras] == [5, 5]
    *_, states, extras = layer(x, return_states=True, return_extras=True)
    assert len(states) == len(extras) == 2
    assert GRU(3, 4, rngs=rngs())(x, return_extras=True)[2] == (None,)


def test_a_cell_that_the_scan_cannot_run_is_refused():
    words = "expected a cell that Associative supports, got GRUCell"
    refused(ValueError, words, lambda: check_scan(Associative(), GRUCell(2, 4, rngs=rngs())))
    words = "expected a jax_rnn.scans.Scan, got 'gated'"
    refused(TypeError, words, lambda: check_scan("gated"))
