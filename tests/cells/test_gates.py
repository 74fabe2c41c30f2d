"""Named gates, the type of the carry, and hidden maps of several heads."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jax_rnn import (
    GRU,
    LSTM,
    RNN,
    GatedCell,
    GRUCell,
    HiddenCarry,
    LSTMCarry,
    LSTMCell,
    OriginalGRUCell,
    ProjectedLSTMCell,
    RNNCell,
    load_torch_state_dict,
    to_flax,
    to_torch,
    torch_state_dict,
)
from jax_rnn.scans import run
from tests import kit
from tests.cells.zoo import kind
from tests.kit import cases, refusals, refused, rngs

I, H, B, T = 3, 6, 2, 4  # noqa: E741


def unchanged(self, gates, carry):
    return carry, carry.h


Untyped = kind("Untyped", GatedCell, gates=("a",), update=unchanged)
Nameless = kind("Nameless", GatedCell[HiddenCarry], update=unchanged)
Misspelt = kind("Misspelt", GRUCell, separate=("m",))


class Forgetful(GatedCell[HiddenCarry]):
    """Uses the maps of a gate that is not separate."""

    gates = ("r", "n")

    def update(self, gates, carry):
        h = jnp.tanh(gates.n.x + gates.r * gates.n.h)
        return HiddenCarry(h), h


def of(kind, **options):
    return lambda: kind(I, H, **options, rngs=rngs())


TE, VE = TypeError, ValueError
# (call, error, words)
ROWS = [
    (of(Untyped), TE, "class Untyped(GatedCell[HiddenCarry])"),
    (of(Misspelt), TE, "expected separate to list some of the gates"),
    (of(Nameless), TE, "expected gates to be a tuple of names"),
    (
        lambda: run(of(Forgetful)(), HiddenCarry(jnp.zeros(H)), jnp.ones((T, I))),
        AttributeError,
        "Forgetful: expected separate to list every gate|got .x of a gate",
    ),
    (of(GRUCell, heads=4), VE, "a divisor of hidden_size 6, got 4"),
    (of(LSTM, proj_size=2, heads=3), VE, "and of the 2 features"),
    (of(GRU, heads=0), VE, "heads: expected at least 1, got 0"),
]


test_what_an_author_forgot_is_named = refusals(ROWS)


def test_the_type_of_the_carry_follows_from_the_type_parameter():
    class Child(LSTMCell):
        pass

    assert LSTMCell.carry_type is Child.carry_type is LSTMCarry
    assert GRUCell.carry_type is HiddenCarry


def test_gates_can_be_unpacked_and_accessed_by_name():
    seen = {}

    class Spy(GRUCell):
        def update(self, gates, carry):
            r, z, n = gates
            seen.update(fields=gates._fields, same=gates.r is r and gates.z is z, n=n)
            return super().update(gates, carry)

    Spy(I, H, rngs=rngs())(HiddenCarry(jnp.ones(H)), jnp.ones(I))
    assert seen["fields"] == ("r", "z", "n") and seen["same"]
    assert seen["n"].x.shape == seen["n"].h.shape == (H,)


CELLS = {
    "RNNCell": RNNCell,
    "LSTMCell": LSTMCell,
    "GRUCell": GRUCell,
    "OriginalGRUCell": OriginalGRUCell,
    "ProjectedLSTMCell": lambda *sizes, **options: ProjectedLSTMCell(*sizes, 3, **options),
}


def dense(weight, heads, size):
    """A weight (G*H, O / heads) as a dense one, (G*H, O), with zeros outside the blocks."""
    rows, columns = weight.shape
    wide = jnp.zeros((rows, columns * heads), weight.dtype)
    for row in range(rows):
        head = row % size // (size // heads)
        wide = wide.at[row, head * columns : (head + 1) * columns].set(weight[row])
    return wide


@cases("name", CELLS, short=2)
@cases("heads", [3, 6], short=1)
@cases("scan", ["auto", "sequential"], short=1)
def test_blocks_are_a_dense_map_with_zeros_outside(name, heads, scan, x64, close):
    if name == "ProjectedLSTMCell" and heads == 6:
        heads = 1
    blocks, whole = (CELLS[name](I, H, heads=n, rngs=rngs()) for n in (heads, 1))
    for k, (_, parameter) in enumerate(nnx.state(blocks).flat_state()):
        parameter[...] = jnp.asarray(kit.normal(*parameter.shape, seed=k))
    for field in {"weight_ih", "bias_ih", "bias_hh", "weight_hr"} & {*vars(blocks)}:
        getattr(whole, field)[...] = getattr(blocks, field)[...]
    weight = blocks.weight_hh[...]
    whole.weight_hh[...] = dense(weight, heads, H)
    zeros = blocks.initialize_carry((20, I))
    carry = jax.tree.map(lambda leaf: jnp.asarray(kit.normal(*leaf.shape)), zeros)

    def graded(cell):
        out, vjp = jax.vjp(partial(run, scan=scan), cell, carry, jnp.asarray(kit.normal(T, 20, I)))
        dcell, *rest = vjp(jax.tree.map(lambda leaf: 2 * leaf, out))
        return dcell.weight_hh[...], (out, rest)

    (dweight, ours), (dwide, expected) = graded(blocks), graded(whole)
    close(ours, expected)
    close(dense(dweight, heads, H), dwide * dense(jnp.ones_like(weight), heads, H))


@pytest.mark.parametrize("kind", [RNN, LSTM, GRU])
def test_layers_of_several_heads_stack_and_have_fewer_parameters(kind):
    layer = kind(I, H, 2, heads=3, bidirectional=True, rngs=rngs())
    gates = len(layer.cells[0].gates)
    assert layer.cells[1].weight_hh.shape == (gates * H, 2)
    assert layer(jnp.ones((T, B, I)))[0].shape == (T, B, 2 * H)


def test_other_libraries_have_dense_maps():
    pytest.importorskip("torch")
    layer, cell = GRU(I, H, heads=2, rngs=rngs()), GRUCell(I, H, heads=2, rngs=rngs())
    for convert, module in ((to_torch, layer), (to_torch, cell), (to_flax, cell)):
        refused(VE, "heads=1, got heads=2", lambda convert=convert, module=module: convert(module))
    dense = torch_state_dict(GRU(I, H, rngs=rngs()))
    words = "the cell has 2 heads, but torch's hidden maps are dense"
    refused(VE, words, lambda: load_torch_state_dict(layer, dense))
    copy = GRU(I, H, heads=2, rngs=nnx.Rngs(1))
    load_torch_state_dict(copy, torch_state_dict(layer))
    np.testing.assert_array_equal(copy.cells[0].weight_hh, layer.cells[0].weight_hh)
