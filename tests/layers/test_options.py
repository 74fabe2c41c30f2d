"""Every option of torch.nn's layers: constructors, directions, dropout, dtypes, batches."""

import inspect
import math
import warnings
from functools import cache, partial
from itertools import product
from typing import get_overloads

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jax_rnn import (
    GRU,
    LSTM,
    RNN,
    GRUCell,
    LSTMCell,
    OriginalGRUCell,
    Recurrent,
    load_torch_state_dict,
    torch_state_dict,
)
from tests.kit import cases, normal
from tests.layers.kit import LAYERS, H, I, T, array, build, call, initial_state, torch
from tools import fuzz

B = 2


def parameters(init, kind):
    found = inspect.signature(init).parameters.values()
    skipped = "self", "device", "dtype"  # torch's last two
    return [(p.name, p.default) for p in found if p.kind is kind and p.name not in skipped]


class TestConstructors:
    @pytest.mark.parametrize("layer", [RNN, LSTM, GRU])
    def test_options_stand_in_torchs_order_with_torchs_defaults_and_others_are_keywords(
        self, layer
    ):
        ours = parameters(layer.__init__, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        theirs = get_overloads(getattr(torch.nn, layer.__name__).__init__)[0]
        assert ours == parameters(theirs, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        assert len(ours) >= 7
        keywords = dict(parameters(layer.__init__, inspect.Parameter.KEYWORD_ONLY))
        expected = {"init": "torch", "heads": 1, "scan": "auto", "rngs": inspect.Parameter.empty}
        assert expected.items() <= keywords.items()
        assert inspect.signature(layer).parameters["dtype"].default is None


RATE = 0.25


def glass(dropout):
    """Two relu layers: the upper returns what it reads; the lower's outputs are positive."""
    layer = RNN(H, H, 2, "relu", dropout=dropout, rngs=nnx.Rngs(0))
    lower, upper = layer.cells
    for cell in (lower, upper):
        cell.weight_hh[...] = jnp.zeros((H, H))
        cell.weight_ih[...] = jnp.eye(H)
        cell.bias_ih[...] = cell.bias_hh[...] = jnp.zeros(H)
    return layer


POSITIVE = jnp.asarray(1 + np.abs(normal(T, B, H)), jnp.float32)


@cache
def what_the_upper_layer_reads(draws=1000):
    keys = jax.random.split(jax.random.key(0), draws)
    layer = glass(RATE)
    return np.asarray(jax.vmap(lambda key: call(layer, POSITIVE, rngs=key)[0])(keys))


@cache
def dropping(kind, dropout, bidirectional=True):
    return build(kind, 2, dropout=dropout, bidirectional=bidirectional)


def data():
    return array(T, B, I, dtype=jnp.float32)


class TestDropout:
    def test_dropout_zeroes_single_values_and_scales_the_others_as_in_torch(self, close):
        module = torch.nn.RNN(H, H, 2, "relu", dropout=RATE)
        weights = torch_state_dict(glass(RATE))
        module.load_state_dict({name: torch.tensor(value) for name, value in weights.items()})
        torch.manual_seed(0)
        theirs = module(torch.tensor(np.array(POSITIVE)))[0].detach().numpy()
        read = what_the_upper_layer_reads()
        for values, tolerance in ((read, 1e-6), (theirs, 1e-5)):
            kept = values > tolerance
            close(values, np.where(kept, POSITIVE / (1 - RATE), 0), tolerance)
            assert 0 < kept.sum() < kept.size
        kept = read != 0
        for axis in (1, 2, 3):  # no mask is shared along time, batch or features
            assert (kept != np.roll(kept, 1, axis)).any()

    def test_dropout_keeps_the_expected_value(self):
        read = what_the_upper_layer_reads()
        deviation = POSITIVE * math.sqrt(RATE / (1 - RATE) / len(read))  # of the mean of all draws
        assert (np.abs(read.mean(0) - POSITIVE) < 5 * deviation).all()
        assert abs((read == 0).mean() - RATE) < 0.01

    def test_a_rate_may_be_numpys_number(self, unchecked):
        assert build("gru", 2, dropout=np.float32(0.25)).dropout.rate == 0.25

    def test_same_seed_drops_the_same_and_another_seed_other_values(self):
        layer, x = glass(RATE), POSITIVE
        once, again, other = (layer(x, rngs=nnx.Rngs(dropout=k))[0] for k in (1, 1, 2))
        assert (once == again).all()
        assert (once != other).any()
        rngs = nnx.Rngs(dropout=1)
        assert (layer(x, rngs=rngs)[0] == once).all()
        assert (layer(x, rngs=rngs)[0] != once).any()  # the next draw of the same stream

    def test_a_key_as_argument_of_jit_draws_what_it_draws_outside(self):
        layer = glass(RATE)
        for key in map(jax.random.key, (1, 2)):
            eager = layer(POSITIVE, rngs=key)[0]
            np.testing.assert_allclose(call(layer, POSITIVE, rngs=key)[0], eager, rtol=1e-6)

    @pytest.mark.parametrize("kind", ["gru", "proj"])
    def test_outputs_of_the_last_layer_and_all_states_below_are_not_dropped(self, kind, close):
        layer = dropping(kind, 0.9)
        output, states = call(layer, data(), rngs=jax.random.key(0))
        assert (output != 0).all()
        _, plain = call(nnx.view(layer, deterministic=True), data())
        first = partial(jax.tree.map, lambda leaf: leaf[:2])  # both directions of the first layer
        close(first(states), first(plain), 1e-6)
        assert all(
            (a[2:] != b[2:]).any()
            for a, b in zip(jax.tree.leaves(states), jax.tree.leaves(plain), strict=True)
        )

    @pytest.mark.parametrize("bidirectional", [False, True])
    def test_dropout_of_one_leaves_zeros_to_the_second_layer(self, bidirectional, close):
        layer = dropping("lstm", 1.0, bidirectional)
        output, (h_n, _) = call(layer, data(), rngs=jax.random.key(0))
        upper = (layer.cells[1], layer.reverse_cells[1]) if bidirectional else layer.cells[1]
        zeros = jnp.zeros((T, B, layer.cells[1].input_size))
        expected, (last, _) = call(Recurrent(upper), zeros)
        close((output, h_n[-len(last) :]), (expected, last), 1e-6)
        assert np.isfinite(output).all() and (output != 0).all()

    def test_evaluation_drops_nothing_and_needs_no_rngs(self, close):
        layer, key = nnx.clone(dropping("gru", 0.9)), jax.random.key(0)
        plain = call(dropping("gru", 0.0), data())
        close(call(dropping("gru", 0.0), data(), rngs=key), plain, 0)
        layer.eval()
        close(call(layer, data()), plain, 0)
        close(call(layer, data(), rngs=key), plain, 0)
        layer.train()
        assert (call(layer, data(), rngs=key)[0] != plain[0]).any()

    @pytest.mark.parametrize("kind", ["tanh", "lstm", "gru"])
    def test_one_layer_drops_nothing_and_says_so_and_nothing_else_warns(self, kind, close):
        with pytest.warns(UserWarning, match="use num_layers above 1"):
            layer = build(kind, dropout=0.9)
        with pytest.warns(UserWarning, match="num_layers greater than 1"):
            LAYERS[kind][1](I, H, dropout=0.9)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            close(call(layer, data()), call(build(kind), data()), 0)
            build(kind, 2, dropout=0.5, bidirectional=True)

    def test_gradients_see_the_same_mask_as_the_value(self):
        layer, key = glass(RATE), jax.random.key(3)
        gradient = jax.grad(lambda x: layer(x, rngs=key)[0].sum())(POSITIVE)
        expected = jnp.where(layer(POSITIVE, rngs=key)[0] == 0, 0, 1 / (1 - RATE))
        np.testing.assert_allclose(gradient, expected, atol=1e-6)


LONG, WIDE = 200, 8
KEEPS_THE_STATE = slice(WIDE, 2 * WIDE)
"""Rows of the gate that keeps the state: f of i f g o, z of r z n."""


def rounded(cell_type):
    """A cell that carries bfloat16 from step to step."""

    class Rounded(cell_type):
        def update(self, gates, carry):
            carry, y = super().update(gates, carry)
            return jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16).astype(leaf.dtype), carry), y

    return Rounded(I, WIDE, dtype="bfloat16", rngs=nnx.Rngs(0))


class TestDtypes:
    @cases("dtype", ["bfloat16", "float32", "float16", "float64"], short=1)
    @pytest.mark.parametrize("kind", LAYERS)
    def test_outputs_states_and_gradients_have_the_dtype_of_the_input(self, kind, dtype):
        with jax.enable_x64(dtype == "float64"):
            layer = build(kind, 2, bidirectional=True, dtype=dtype)
            x, hx = jnp.zeros((T, B, I), dtype), initial_state(layer, B)

            def loss(layer, x, hx):
                out = layer(x, hx), layer(x)
                return sum(leaf.sum() for leaf in jax.tree.leaves(out)), out

            graded = jax.grad(loss, (0, 1, 2), has_aux=True)
            leaves = jax.tree.leaves(jax.eval_shape(graded, layer, x, hx))
            assert {leaf.dtype for leaf in leaves} == {jnp.dtype(dtype)}
            carry = layer.cells[0].initialize_carry((B, I))
            kept = "float64" if dtype == "float64" else "float32"
            assert {leaf.dtype for leaf in carry} == {jnp.dtype(kept)}
            steps = jax.eval_shape(layer.cells[0], carry, x[0])
            assert {leaf.dtype for leaf in steps[0]} == {jnp.dtype(kept)}
            assert steps[1].dtype == layer.dtype == jnp.dtype(dtype)

    def test_default_dtype_is_jaxs(self, x64):
        assert GRU(I, H, rngs=nnx.Rngs(0)).dtype == jnp.float64
        with jax.enable_x64(False):
            assert GRU(I, H, rngs=nnx.Rngs(0)).dtype == jnp.float32

    @cases(("kind", "cell_type"), [("lstm", LSTMCell), ("gru", GRUCell)], short=0)
    def test_a_long_memory_in_bfloat16_is_nearer_to_the_truth_than_torchs(self, kind, cell_type):
        torch.manual_seed(0)
        module = LAYERS[kind][1](I, WIDE)
        with torch.no_grad():
            module.bias_ih_l0[KEEPS_THE_STATE] = 5.0
        module = module.to(torch.bfloat16)
        half, full = (
            LAYERS[kind][0](I, WIDE, dtype=dtype, rngs=nnx.Rngs(0))
            for dtype in ("bfloat16", "float32")
        )
        carried = Recurrent(rounded(cell_type))
        for layer in (half, full, carried):
            load_torch_state_dict(layer, module.state_dict())
        x = jnp.asarray(1 + normal(LONG, B, I), jnp.bfloat16)

        def memory(result):  # the final c of the LSTM, h of the GRU
            return np.asarray(jax.tree.leaves(result)[-1].astype(jnp.float32))

        truth = memory(call(full, x.astype(jnp.float32)))
        theirs = jax.tree.leaves(module(torch.tensor(np.array(x.astype(jnp.float32))).bfloat16()))[
            -1
        ]
        ours = np.abs(memory(call(half, x)) - truth)
        others = [memory(call(carried, x)), theirs.detach().float().numpy()]
        # A step adds less than bfloat16 can represent, which is lost if the carry is bfloat16.
        for other in others:
            assert ours.mean() < np.abs(other - truth).mean() / 2
        # One rounding of the result, 2**-9, and as much again for the h that the products read.
        assert (ours <= 2**-8 * np.abs(truth) + 2**-8).all()

    @cases(
        ("kind", "dtype", "unit"),
        [(kind, "bfloat16", 2**-8) for kind in ("tanh", "lstm", "gru")]
        + [("lstm", "float16", 2**-11)],
        short=1,
    )
    def test_half_precision_is_torchs_to_a_few_roundings(self, kind, dtype, unit):
        torch.manual_seed(0)
        module = LAYERS[kind][1](I, H, 2).to(getattr(torch, dtype))
        layer = build(kind, 2, dtype=dtype)
        load_torch_state_dict(layer, module.state_dict())
        x = jnp.asarray(normal(T, B, I), dtype)
        ours = [np.asarray(leaf.astype(jnp.float32)) for leaf in jax.tree.leaves(call(layer, x))]
        theirs = module(torch.tensor(np.array(x.astype(jnp.float32))).to(getattr(torch, dtype)))
        for a, b in zip(ours, jax.tree.leaves(theirs), strict=True):
            # Numbers below 1 have steps of that unit. Torch rounds every state and gate, ours the
            # outputs of every layer: over five steps of two layers a few such steps come together.
            np.testing.assert_allclose(a, b.detach().float().numpy(), rtol=0, atol=4 * unit)


def test_reset_before_the_product_is_another_cell():
    """Whose equations, ONNX's default, are those of its docstring: see test_docstrings.py."""
    for reset_after, cell in ((True, GRUCell), (False, OriginalGRUCell)):
        assert type(build("gru", reset_after=reset_after).cells[0]) is cell


KINDS = "RNN tanh", "RNN relu", "LSTM", "LSTM proj", "GRU"
OPTIONS = [
    {"num_layers": 2, "bidirectional": True, "hx": True},
    {"num_layers": 2, "bidirectional": False, "batch_first": True},
    {"bias": False, "hx": False, "lengths": "none"},
    {"batched": False, "lengths": "none"},
    {"batched": False, "batch_first": True},
    {"bidirectional": True, "lengths": "mixed", "padding": "nan", "batch_first": True},
    {"bidirectional": False, "lengths": "zero", "padding": "numbers"},
    {"bidirectional": True, "lengths": "zero", "hx": True},
    {"lengths": "zero", "hx": False},
    {"bidirectional": True, "lengths": "equal"},
    {"bidirectional": True, "lengths": "full"},
    {"bidirectional": True, "lengths": "beyond"},
    {"batched": False, "lengths": "mixed"},
    {"batched": False, "lengths": "zero"},
    {"num_layers": 2, "dtype": "float32"},
    {"dtype": "bfloat16"},
]


class TestBatches:
    @cases("batch_first", [False, True], short=0)
    @pytest.mark.parametrize("kind", ["lstm", "gru"])
    def test_more_batch_axes_are_the_flat_batch(self, kind, batch_first, x64, close):
        layer, flat = (
            build(kind, 2, bidirectional=True, batch_first=b) for b in (batch_first, False)
        )
        outer, inner = 3, 2
        x, hx = normal(T, outer, inner, I), initial_state(layer, outer, inner)
        lengths = np.array([[5, 0], [2, 3], [1, 5]])

        def flatten(tree):  # (leading, outer, inner, features)
            return jax.tree.map(lambda leaf: leaf.reshape(leaf.shape[0], -1, leaf.shape[-1]), tree)

        for kwargs in ({}, {"lengths": lengths}):
            turned = jnp.moveaxis(x, 0, 2) if batch_first else x
            output, states = call(layer, turned, hx, **kwargs)
            output = jnp.moveaxis(output, 2, 0) if batch_first else output
            expected = call(
                flat, flatten(x), flatten(hx), **{k: v.reshape(-1) for k, v in kwargs.items()}
            )
            close(flatten((output, states)), expected, 1e-13)
            assert output.shape == (T, outer, inner, 2 * H)
            assert jax.tree.leaves(states)[0].shape == (4, outer, inner, H)

    def test_an_empty_batch_is_accepted_as_in_torch(self):
        for kind, (_, reference) in LAYERS.items():
            layer = build(kind, 2, bidirectional=True)
            ours = jax.eval_shape(layer, jnp.zeros((T, 0, I)), lengths=jnp.zeros(0, int))
            theirs = reference(I, H, 2, bidirectional=True)(torch.zeros(T, 0, I))
            shapes = [tuple(leaf.shape) for leaf in jax.tree.leaves(theirs)]
            assert [leaf.shape for leaf in jax.tree.leaves(ours)] == shapes, kind


class TestTorch:
    @cases(("wanted", "kind"), product(OPTIONS, KINDS), short=7, ids=str)
    def test_values_states_gradients_and_steps_of_adam_are_torchs(self, wanted, kind):
        fuzz.run(fuzz.simplest(layer=kind, **wanted))

    def test_recurrent_of_cells_is_the_layer_of_that_name_and_knows_its_sizes(self, x64, close):
        layer = GRU(I, H, 2, rngs=nnx.Rngs(0))
        x, hx = jnp.asarray(normal(T, B, I)), jnp.asarray(normal(2, B, H))
        both = Recurrent(*layer.cells)
        assert (both.num_layers, both.input_size, both.hidden_size) == (2, I, H)
        close(both(x, hx), layer(x, hx))
        below, hidden = Recurrent(layer.cells[0])(x, hx[:1])
        above, further = Recurrent(layer.cells[1])(below, hx[1:])
        close((above, jnp.concatenate([hidden, further])), layer(x, hx))
