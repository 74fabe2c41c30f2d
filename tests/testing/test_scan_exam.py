"""``check_scan``: scans of the library pass, and every mistake is caught in words."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jax_rnn import GRU, GRUCell, LSTMCell, Recurrent
from jax_rnn.scans import Associative, Checkpointed, Gated, Scan, Sequential, advance
from jax_rnn.testing import ScanExamError, check_scan
from jax_rnn.testing import compiled as module
from jax_rnn.testing.compiled import compiled
from tests.kit import cases, refusals, refused, rngs

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
    "reverse": type("Forward", (Loop,), {"turn": lambda self, reverse: False}),
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


class Fresh(Loop):
    def __eq__(self, other):
        return self is other

    __hash__ = object.__hash__


def unsupported():
    return check_scan(Associative(), GRUCell(2, 4, rngs=rngs()))


test_misuse_is_refused = refusals(
    [
        (lambda: check_scan(Fresh()), TypeError, "expected a scan that equals its copy"),
        (unsupported, ValueError, "expected a cell that Associative supports, got GRUCell"),
        (lambda: check_scan("gated"), TypeError, "expected a jax_rnn.scans.Scan, got 'gated'"),
    ]
)


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


@pytest.fixture
def forgetful():
    module._known.cache_clear()
    yield
    module._known.cache_clear()


class TestPrograms:
    def test_a_program_is_that_of_jit(self):
        def f(x, n):
            return jnp.tanh(x) * n

        x = np.arange(3.0, dtype=np.float32)
        got = compiled(f, static_argnums=1)(x, 2)
        np.testing.assert_allclose(got, jax.jit(f, static_argnums=1)(x, 2), rtol=1e-6)

    def test_options_that_xla_does_not_know_are_left_out(self, monkeypatch, forgetful):
        known = {"xla_backend_optimization_level": 0}
        monkeypatch.setattr(module, "QUICK", known | {"xla_no_such_option": 1})
        assert module._known("cpu") == known
        assert compiled(lambda x: x + 1)(1) == 2

    def test_other_backends_compile_as_usual(self):
        assert module._known("gpu") == {}
