"""Every public method of a cell takes effect under every scan, or is refused in a subclass.

The definition is a plain loop of ``cell(carry, x)`` of the outermost cell.
"""

import inspect

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from jax_rnn import (
    AffineCell,
    Cell,
    GatedCell,
    GRUCell,
    HiddenCarry,
    LinearCell,
    MinGRUCell,
    OriginalGRUCell,
    Recurrent,
    RNNCell,
    Wrapper,
    Zoneout,
)
from jax_rnn.cells.final import CALLED
from jax_rnn.scans import Associative, Checkpointed, Gated, Sequential, run
from jax_rnn.testing import check_cell
from tests import kit
from tests.cells.zoo import kind
from tests.kit import cases, refused, rngs

I, H, B, T = 3, 4, 2, 5  # noqa: E741

pytestmark = pytest.mark.usefixtures("x64")


def open_methods(base):
    """The public methods and properties of a base class that a subclass may define."""
    names = []
    for owner in base.__mro__[: base.__mro__.index(nnx.Module)]:
        for name, value in vars(owner).items():
            function = getattr(value, "fget", value)
            public = not name.startswith("_") or name == "__call__"
            if public and inspect.isfunction(function) and name not in names:
                names.append(name)
    return names


BASES = {"Cell": Cell, "AffineCell": AffineCell, "GatedCell": GatedCell}
BASES |= {"LinearCell": LinearCell, "Wrapper": Wrapper}
FINAL = {
    "Cell": {"__call__"},
    "AffineCell": {"__call__", "dtype"},
    "GatedCell": {"__call__", "dtype", "project", "recur", "step", "by_gate"},
    "LinearCell": {"__call__", "project", "step"},
    "Wrapper": {"__call__", "dtype", "project", "step"},
}


@pytest.mark.parametrize("name", BASES)
def test_what_must_not_change_is_refused_with_the_place_where_it_belongs(name):
    base = BASES[name]
    assert FINAL[name] <= set(open_methods(base)), "the test looks at every public method"
    for method in open_methods(base):
        body = {method: lambda self, *arguments, **options: None}
        if method in FINAL[name]:
            with pytest.raises(TypeError, match=f"Mine: expected {method} of .*; "):
                type("Mine", (base,), body)
            mixin = type("Mixin", (), body)
            with pytest.raises(TypeError, match=f"Mine: expected {method} of"):
                type("Mine", (mixin, base), {})
        else:
            type("Mine", (base,), body)


def test_arguments_that_nobody_passes_are_refused():
    words = "Mine.update: |(self, gates, carry)|got time too"
    body = {"update": lambda self, gates, carry, time: None}
    refused(TypeError, words, lambda: kind("Mine", GRUCell, **body))


@pytest.mark.parametrize("name", ["project", "initialize_carry", "noise", "sequence_noise"])
def test_context_does_not_reach_what_is_called_before_the_steps(name):
    method = {name: lambda self, x, context=None: x}
    words = f"Mine.{name}: expected no argument context"
    refused(TypeError, words, lambda: kind("Mine", Cell, **method))


def test_the_split_into_gates_may_be_written_again_if_it_is_the_same():
    class Same(GRUCell):
        def by_gate(self, x):
            return super().by_gate(x)

    layer = Recurrent(Same(I, 32, rngs=rngs()))
    assert layer.chosen_scans((T, 9, I), "cpu") == (Gated(1, "before", False),)


def scaled(base, method, function=None):
    """A cell of a subclass of ``base``, whose method uses a parameter of its own.

    It is ``function``, or the method of ``base`` with the result multiplied by the parameter.
    """

    def init(self, *arguments, **options):
        base.__init__(self, *arguments, **options)
        self.scale = nnx.Param(jnp.asarray(1.3, self.dtype))

    def times(self, *arguments, **options):
        result = getattr(base, method)(self, *arguments, **options)
        return jax.tree.map(lambda leaf: leaf * self.scale[...], result)

    kind = type("Scaled", (base,), {"__init__": init, method: function or times})
    return lambda: kind(I, H, rngs=rngs())


def own_update(self, gates, carry):
    new, y = GRUCell.update(self, gates, carry)
    return jax.tree.map(lambda leaf: leaf * self.scale[...], new), y + self.scale[...]


def own_carry(self, shape, rngs=None, carry_init=None):
    return HiddenCarry(jnp.zeros((*shape[:-1], H), self.dtype) + self.scale[...])


CELLS = {
    "Cell step": scaled(OriginalGRUCell, "step"),
    "AffineCell project": scaled(OriginalGRUCell, "project"),
    "AffineCell recur": scaled(OriginalGRUCell, "recur"),
    "AffineCell by_gate": scaled(OriginalGRUCell, "by_gate"),
    "initialize_carry": scaled(RNNCell, "initialize_carry", own_carry),
    "update": scaled(GRUCell, "update", own_update),
    "hidden_input": scaled(GRUCell, "hidden_input"),
    "coefficients": scaled(MinGRUCell, "coefficients"),
    "output": scaled(MinGRUCell, "output"),
}


class Hooked(Wrapper):
    """Every hook with a parameter of its own."""

    def __init__(self, cell, only=("before", "on_read", "on_update", "after")):
        super().__init__(cell)
        self.only = tuple(only)
        self.scale = nnx.Dict({name: nnx.Param(jnp.asarray(1.3, self.dtype)) for name in only})

    def _times(self, name, x):
        return x * self.scale[name][...] if name in self.only else x

    def before(self, x):
        return self._times("before", x)

    def on_read(self, h):
        return self._times("on_read", h)

    def on_update(self, old, new, y):
        return new, self._times("on_update", y)

    def after(self, y, x):
        return self._times("after", y)

    def initialize_carry(self, input_shape, rngs=None, carry_init=None):
        carry = super().initialize_carry(input_shape, rngs, carry_init)
        return jax.tree.map(lambda leaf: leaf + 0.3, carry)


Plain = kind("Plain", Wrapper)  # changes nothing


class ClippedCarry(Wrapper):
    def on_update(self, old, new, y):
        return jax.tree.map(lambda leaf: jnp.clip(leaf, -0.2, 0.2), new), y


WITHOUT_READ = ("before", "on_update", "after")
CELLS |= {
    "wrapper of a gated cell": lambda: Hooked(GRUCell(I, H, rngs=rngs())),
    "wrapper of a linear cell": lambda: Hooked(MinGRUCell(I, H, rngs=rngs()), WITHOUT_READ),
    "wrapper of another cell": lambda: Hooked(OriginalGRUCell(I, H, rngs=rngs()), WITHOUT_READ),
    "wrapper that changes the carry of a linear cell": lambda: ClippedCarry(
        MinGRUCell(I, H, rngs=rngs())
    ),
}
NESTINGS = {
    "alone": lambda cell: cell,
    "inside": Plain,
    "inside one that changes all": lambda cell: Hooked(cell, WITHOUT_READ),
    "outside": lambda cell: Hooked(Plain(cell.cell), cell.only) if hasattr(cell, "only") else cell,
    "in zoneout": lambda cell: Zoneout(cell, h=0.3),
}


def loop(cell, carry, xs):
    """The definition."""
    outputs = []
    for x in xs:
        carry, y = cell(carry, x)
        outputs.append(y)
    return carry, jnp.stack(outputs)


def graded(scan, cell, xs):
    """Values and gradients with respect to all parameters, the carry and the inputs."""
    graphdef, params, rest = nnx.split(cell, nnx.Param, ...)

    def results(params, xs):
        cell = nnx.merge(graphdef, params, rest)
        return scan(cell, cell.initialize_carry(xs.shape[1:]), xs)

    @jax.jit
    def run(params, xs):
        out, vjp = jax.vjp(results, params, xs)
        weights = jax.tree.map(lambda y: jnp.arange(1.0, 1 + y.size).reshape(y.shape), out)
        return out, vjp(jax.tree.map(jnp.multiply, weights, out))

    out, gradients = run(params, xs)
    return jax.tree.leaves(out), nnx.to_pure_dict(gradients[0]), gradients[1]


def scans_of(cell):
    scans = [Sequential(), Sequential(project="inside"), Checkpointed(2), "auto"]
    fast = [Gated(project=place, unroll=n) for place, n in (("before", 1), ("inside", 2))]
    fast += [Associative(parallel=True), Associative(blocks=2)]
    return scans + [scan for scan in fast if scan.supports(cell)]


FIRST = ["hidden_input", "wrapper of a gated cell", "wrapper of a linear cell", "update"]


@cases("nesting", NESTINGS, short=2)
@cases("name", FIRST + [name for name in CELLS if name not in FIRST], short=3)
def test_every_override_counts_under_every_scan(name, nesting, close):
    cell = NESTINGS[nesting](CELLS[name]())
    xs = jnp.asarray(kit.normal(T, B, I))
    expected = graded(loop, cell, xs)
    for gradient in jax.tree.leaves(expected[1]):
        assert (gradient != 0).any(), "every parameter matters"
    for scan in scans_of(cell):
        got = graded(lambda *args, scan=scan: run(*args, scan=scan), cell, xs)
        close(jax.tree.leaves(got), jax.tree.leaves(expected), 1e-9)


def test_the_fast_scans_are_among_them():
    assert Gated().supports(CELLS["wrapper of a gated cell"]())
    assert Associative().supports(CELLS["wrapper of a linear cell"]())
    clipped = Associative().supports(CELLS["wrapper that changes the carry of a linear cell"]())
    assert not clipped and "on_update changes the carry" in clipped.why


@pytest.mark.parametrize("kind", [MinGRUCell, OriginalGRUCell])
def test_a_hook_for_a_hidden_map_needs_one(kind):
    cell, x = Hooked(kind(I, H, rngs=rngs())), jnp.ones((T, B, I))
    words = f"Hooked: expected a GatedCell|got {kind.__name__}|use before, on_update or after"
    refused(TypeError, words, lambda: cell(cell.initialize_carry((B, I)), x[0]))
    for scan in ("auto", "sequential"):
        refused(TypeError, words, lambda scan=scan: Recurrent(cell, scan=scan)(x))


@pytest.mark.long
def test_the_exam_passes_where_overrides_count():
    for name in ("update", "hidden_input", "wrapper of a gated cell", "wrapper of a linear cell"):
        check_cell(CELLS[name]())


def test_what_is_called_is_named():
    assert {name for base in BASES.values() for name in open_methods(base)} >= set(CALLED)
