"""Every option of torch.nn's layers: constructors, directions, dropout, dtypes, batches."""

import inspect
import math
import warnings
from functools import cache, partial
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
from jax_rnn.lecture.lessons.gru_by_hand import GRUByHandCell
from tests.kit import cases, normal

torch = pytest.importorskip("torch")

I, H, P, B, T = 3, 4, 2, 2, 5  # noqa: E741

LAYERS = {
    "tanh": (RNN, torch.nn.RNN),
    "relu": (partial(RNN, nonlinearity="relu"), partial(torch.nn.RNN, nonlinearity="relu")),
    "lstm": (LSTM, torch.nn.LSTM),
    "proj": (partial(LSTM, proj_size=P), partial(torch.nn.LSTM, proj_size=P)),
    "gru": (GRU, torch.nn.GRU),
}
every_layer = pytest.mark.parametrize("kind", LAYERS)


def build(kind, *options, seed=0, **keywords):
    return LAYERS[kind][0](I, H, *options, rngs=nnx.Rngs(seed), **keywords)


def arrays(*shapes, dtype=None):
    return tuple(jnp.asarray(normal(*shape, seed=k), dtype) for k, shape in enumerate(shapes))


def state_shapes(layer, *batch):
    """Of h_n, and of c_n where there is one."""
    zero = layer.cells[0].initialize_carry((*batch, layer.input_size))
    states = layer.num_layers * (2 if layer.bidirectional else 1)
    return [(states, *leaf.shape) for leaf in zero]


def initial_state(layer, *batch):
    hx = arrays(*state_shapes(layer, *batch), dtype=layer.dtype)
    return hx if len(hx) > 1 else hx[0]


@jax.jit
def call(layer, x, hx=None, lengths=None, rngs=None):
    return layer(x, hx, lengths=lengths, rngs=rngs)


# Constructors

ORDER = {
    RNN: "input_size hidden_size num_layers nonlinearity bias batch_first dropout bidirectional",
    LSTM: "input_size hidden_size num_layers bias batch_first dropout bidirectional proj_size",
    GRU: "input_size hidden_size num_layers bias batch_first dropout bidirectional",
}
DEFAULTS = {
    "num_layers": 1,
    "nonlinearity": "tanh",
    "bias": True,
    "batch_first": False,
    "dropout": 0.0,
    "bidirectional": False,
    "proj_size": 0,
}


def parameters(init, *kinds):
    found = inspect.signature(init).parameters.values()
    return {p.name: p.default for p in found if p.kind in kinds and p.name != "self"}


@pytest.mark.parametrize("layer", ORDER, ids=lambda layer: layer.__name__)
def test_options_stand_in_torchs_order_with_torchs_defaults(layer):
    here = parameters(layer.__init__, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    assert " ".join(here) == ORDER[layer]
    required = dict.fromkeys(("input_size", "hidden_size"), inspect.Parameter.empty)
    assert here == {name: (required | DEFAULTS)[name] for name in here}
    documented = get_overloads(getattr(torch.nn, layer.__name__).__init__)[0]
    there = parameters(documented, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    assert list(here.items()) == [
        (name, default) for name, default in there.items() if name not in ("device", "dtype")
    ]


@pytest.mark.parametrize("layer", ORDER, ids=lambda layer: layer.__name__)
def test_what_torch_does_not_have_is_given_by_keyword(layer):
    extra = parameters(layer.__init__, inspect.Parameter.KEYWORD_ONLY)
    assert {
        "init": "torch",
        "dtype": None,
        "heads": 1,
        "scan": "auto",
        "rngs": inspect.Parameter.empty,
    }.items() <= (extra.items())


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("RNN", (I, H, 2, "relu", False, True, 0.25, True)),
        ("LSTM", (I, H, 2, False, True, 0.25, True, P)),
        ("GRU", (I, H, 2, False, True, 0.25, True)),
    ],
)
def test_options_by_position_mean_what_they_mean_in_torch(name, options):
    module = getattr(torch.nn, name)(*options)
    layer = {"RNN": RNN, "LSTM": LSTM, "GRU": GRU}[name](*options, rngs=nnx.Rngs(0))
    for option in ("input_size", "hidden_size", "num_layers", "batch_first", "bidirectional"):
        assert getattr(layer, option) == getattr(module, option), option
    assert layer.dropout.rate == module.dropout
    shapes = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    assert {name: value.shape for name, value in torch_state_dict(layer).items()} == shapes
    if name == "RNN":
        assert {cell.nonlinearity for cell in (*layer.cells, *layer.reverse_cells)} == {"relu"}


@every_layer
def test_parameters_have_torchs_names_and_shapes(kind):
    ours, theirs = LAYERS[kind]
    state = torch_state_dict(ours(I, H, 2, bidirectional=True, rngs=nnx.Rngs(0)))
    shapes = {
        name: tuple(value.shape)
        for name, value in theirs(I, H, 2, bidirectional=True).state_dict().items()
    }
    assert {name: value.shape for name, value in state.items()} == shapes


def test_projected_lstm_starts_within_the_bound_of_its_hidden_size():
    hidden = 64
    layer = LSTM(40, hidden, proj_size=3, bidirectional=True, rngs=nnx.Rngs(0))
    for name, value in torch_state_dict(layer).items():
        assert 0.9 / math.sqrt(hidden) < np.abs(value).max() <= 1 / math.sqrt(hidden), name


# Directions


@pytest.mark.parametrize("kind", ["lstm", "proj"])
def test_states_of_a_layers_directions_stand_side_by_side(kind, close):
    layer = build(kind, bidirectional=True)
    (x,) = arrays((T, B, I))
    hx = initial_state(layer, B)
    output, (h_n, c_n) = call(layer, x, hx)
    size = layer.cells[0].output_size
    assert output.shape == (T, B, 2 * size)
    assert (h_n.shape, c_n.shape) == ((2, B, size), (2, B, H))
    close(h_n, jnp.stack([output[-1, :, :size], output[0, :, size:]]), 0)
    for k, half in enumerate((slice(None, size), slice(size, None))):
        changed = jax.tree.map(lambda leaf, k=k: leaf.at[k].add(1), hx)
        differs = (call(layer, x, changed)[0] != output).any((0, 1))
        assert differs[half].all()
        assert differs.sum() == size


def test_backward_direction_is_the_forward_one_on_the_reversed_sequence(close):
    layer = GRU(I, H, bidirectional=True, rngs=nnx.Rngs(0))
    (x,) = arrays((T, B, I))
    output, h_n = call(layer, x)
    there, last = call(Recurrent(layer.reverse_cells[0]), x[::-1])
    close((output[..., H:], h_n[1:]), (there[::-1], last), 1e-6)


# Dropout

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


def test_dropout_zeroes_single_values_and_scales_the_others(close):
    read = what_the_upper_layer_reads()
    kept = read != 0
    close(read, np.where(kept, POSITIVE / (1 - RATE), 0), 1e-6)
    for axis in (1, 2, 3):  # no mask is shared along time, batch or features
        assert (kept != np.roll(kept, 1, axis)).any()


def test_torch_drops_the_same_way():
    module = torch.nn.RNN(H, H, 2, "relu", dropout=RATE)
    values = {name: torch.tensor(value) for name, value in torch_state_dict(glass(RATE)).items()}
    module.load_state_dict(values)
    torch.manual_seed(0)
    read = module(torch.tensor(np.array(POSITIVE)))[0].detach().numpy()
    dropped = np.isclose(read, 0)
    assert 0 < dropped.sum() < dropped.size
    assert (dropped | np.isclose(read, POSITIVE / (1 - RATE), atol=1e-5)).all()


def test_dropout_keeps_the_expected_value():
    read = what_the_upper_layer_reads()
    deviation = POSITIVE * math.sqrt(RATE / (1 - RATE) / len(read))  # of the mean of all draws
    assert (np.abs(read.mean(0) - POSITIVE) < 5 * deviation).all()
    assert abs((read == 0).mean() - RATE) < 0.01


def test_a_rate_may_be_numpys_number(unchecked):
    assert build("gru", 2, dropout=np.float32(0.25)).dropout.rate == 0.25


def test_same_seed_drops_the_same_and_another_seed_other_values():
    layer, x = glass(RATE), POSITIVE
    once, again, other = (layer(x, rngs=nnx.Rngs(dropout=k))[0] for k in (1, 1, 2))
    assert (once == again).all()
    assert (once != other).any()
    rngs = nnx.Rngs(dropout=1)
    assert (layer(x, rngs=rngs)[0] == once).all()
    assert (layer(x, rngs=rngs)[0] != once).any()  # the next draw of the same stream


def test_a_key_as_argument_of_jit_draws_anew_in_every_call():
    layer = glass(RATE)
    once, again, other = (call(layer, POSITIVE, rngs=jax.random.key(seed))[0] for seed in (1, 1, 2))
    assert (once == again).all()
    assert (once != other).any()
    eager = layer(POSITIVE, rngs=jax.random.key(1))[0]
    np.testing.assert_allclose(once, eager, rtol=1e-6)  # and outside jit


@cache
def dropping(kind, dropout, bidirectional=True):
    return build(kind, 2, dropout=dropout, bidirectional=bidirectional)


def data():
    return arrays((T, B, I), dtype=jnp.float32)[0]


@pytest.mark.parametrize("kind", ["gru", "proj"])
def test_outputs_of_the_last_layer_and_all_states_below_are_not_dropped(kind, close):
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
def test_dropout_of_one_leaves_zeros_to_the_second_layer(bidirectional, close):
    layer = dropping("lstm", 1.0, bidirectional)
    output, (h_n, _) = call(layer, data(), rngs=jax.random.key(0))
    cells = [layer.cells[1], *([layer.reverse_cells[1]] if bidirectional else [])]
    upper = Recurrent(tuple(cells) if bidirectional else cells[0])
    expected, (last, _) = call(upper, jnp.zeros((T, B, layer.cells[1].input_size)))
    close((output, h_n[-len(cells) :]), (expected, last), 1e-6)
    assert np.isfinite(output).all() and (output != 0).all()


def test_evaluation_drops_nothing_and_needs_no_rngs(close):
    layer = nnx.clone(dropping("gru", 0.9))
    plain = call(dropping("gru", 0.0), data())
    layer.eval()
    close(call(layer, data()), plain, 0)
    close(call(layer, data(), rngs=jax.random.key(0)), plain, 0)
    layer.train()
    assert (call(layer, data(), rngs=jax.random.key(0))[0] != plain[0]).any()


@pytest.mark.parametrize("run", [lambda layer, x: layer(x), call], ids=["eager", "jit"])
def test_training_with_dropout_needs_rngs(run):
    with pytest.raises(
        ValueError, match=r"GRU: expected rngs .*0.9, got none.*rngs=nnx.Rngs\(drop"
    ):
        run(dropping("gru", 0.9), data())


def test_training_without_dropout_needs_no_rngs(close):
    layer = dropping("gru", 0.0)
    close(call(layer, data()), call(layer, data(), rngs=jax.random.key(0)), 0)


@pytest.mark.parametrize("kind", ["tanh", "lstm", "gru"])
def test_one_layer_drops_nothing_and_says_so(kind, close):
    with pytest.warns(UserWarning, match="expected num_layers above 1"):
        layer = build(kind, dropout=0.9)
    with pytest.warns(UserWarning, match="num_layers greater than 1"):
        LAYERS[kind][1](I, H, dropout=0.9)
    close(call(layer, data()), call(build(kind), data()), 0)


def test_nothing_else_warns():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        GRU(I, H, rngs=nnx.Rngs(0))
        LSTM(I, H, 2, dropout=0.5, bidirectional=True, proj_size=P, rngs=nnx.Rngs(0))


def test_gradients_see_the_same_mask_as_the_value():
    layer, key = glass(RATE), jax.random.key(3)
    gradient = jax.grad(lambda x: layer(x, rngs=key)[0].sum())(POSITIVE)
    expected = jnp.where(layer(POSITIVE, rngs=key)[0] == 0, 0, 1 / (1 - RATE))
    np.testing.assert_allclose(gradient, expected, atol=1e-6)


# Dtypes


@cases("dtype", ["bfloat16", "float32", "float16", "float64"], short=1)
@every_layer
def test_outputs_states_and_gradients_have_the_dtype_of_the_input(kind, dtype):
    with jax.enable_x64(dtype == "float64"):
        layer = build(kind, 2, bidirectional=True, dtype=dtype)
        x, hx = jnp.zeros((T, B, I), dtype), initial_state(layer, B)

        def run(layer, x, hx):
            loss = lambda *args: sum(leaf.sum() for leaf in jax.tree.leaves(layer(*args)))  # noqa: E731
            weights = jax.grad(lambda layer: layer(x)[0].sum())(layer)
            return (
                layer(x, hx),
                layer(x),
                jax.grad(loss, (0, 1))(x, hx),
                nnx.state(weights, nnx.Param),
            )

        leaves = jax.tree.leaves(jax.eval_shape(run, layer, x, hx))
        assert {leaf.dtype for leaf in leaves} == {jnp.dtype(dtype)}
        carry = layer.cells[0].initialize_carry((B, I))
        kept = "float64" if dtype == "float64" else "float32"
        assert {leaf.dtype for leaf in carry} == {jnp.dtype(kept)}
        steps = jax.eval_shape(layer.cells[0], carry, x[0])
        assert {leaf.dtype for leaf in steps[0]} == {jnp.dtype(kept)}
        assert steps[1].dtype == layer.dtype == jnp.dtype(dtype)


def test_default_dtype_is_jaxs(x64):
    assert GRU(I, H, rngs=nnx.Rngs(0)).dtype == jnp.float64
    with jax.enable_x64(False):
        assert GRU(I, H, rngs=nnx.Rngs(0)).dtype == jnp.float32


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


@cases(("kind", "cell_type"), [("lstm", LSTMCell), ("gru", GRUCell)], short=0)
def test_a_long_memory_in_bfloat16_is_nearer_to_the_truth_than_torchs(kind, cell_type):
    torch.manual_seed(0)
    module = LAYERS[kind][1](I, WIDE)
    with torch.no_grad():
        module.bias_ih_l0[KEEPS_THE_STATE] = 5.0
    module = module.to(torch.bfloat16)
    half, full = (
        LAYERS[kind][0](I, WIDE, dtype=dtype, rngs=nnx.Rngs(0)) for dtype in ("bfloat16", "float32")
    )
    carried = Recurrent(rounded(cell_type))
    for layer in (half, full, carried):
        load_torch_state_dict(layer, module.state_dict())
    x = jnp.asarray(1 + normal(LONG, B, I), jnp.bfloat16)

    def memory(result):  # the final c of the LSTM, h of the GRU
        return np.asarray(jax.tree.leaves(result)[-1].astype(jnp.float32))

    truth = memory(call(full, x.astype(jnp.float32)))
    theirs = jax.tree.leaves(module(torch.tensor(np.array(x.astype(jnp.float32))).bfloat16()))[-1]
    ours = np.abs(memory(call(half, x)) - truth)
    others = [memory(call(carried, x)), theirs.detach().float().numpy()]
    # A step adds less than bfloat16 can represent, which is lost if the carry is bfloat16.
    for other in others:
        assert ours.mean() < np.abs(other - truth).mean() / 2
    # One rounding of the result, 2**-9 of it, and as much again for the h that the products read.
    assert (ours <= 2**-8 * np.abs(truth) + 2**-8).all()


@cases("kind", ["tanh", "lstm", "gru"], short=1)
def test_gradients_in_bfloat16_of_a_long_sequence_are_those_in_float32(kind):
    """Summed over time in bfloat16 they would stop growing at 256 times one step's part."""
    steps = 2000
    half, full = (build(kind, dtype=dtype) for dtype in ("bfloat16", "float32"))
    load_torch_state_dict(full, torch_state_dict(half))
    x = jnp.asarray(normal(steps, B, I), jnp.bfloat16)
    weights = (normal(steps, B, H) + 0.3) / steps

    @jax.jit
    @jax.grad
    def gradient(layer, x):
        return (weights * layer(x)[0].astype(jnp.float32)).sum()

    ours, truth = (
        torch_state_dict(gradient(layer, x.astype(layer.dtype))) for layer in (half, full)
    )
    for name, expected in truth.items():
        gap = np.abs(ours[name].astype(np.float32) - expected).max() / np.abs(expected).max()
        assert gap < 2**-6, name  # some roundings of 2**-9 each; a third and more otherwise


@cases(
    ("kind", "dtype", "unit"),
    [(kind, "bfloat16", 2**-8) for kind in ("tanh", "lstm", "gru")] + [("lstm", "float16", 2**-11)],
    short=1,
)
def test_half_precision_is_torchs_to_a_few_roundings(kind, dtype, unit):
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


# The GRU that resets before the product


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def onnx_gru(X, W, R, B, initial_h, linear_before_reset):
    """ONNX's operator GRU, forward: its equations and names; gates in the order z r h."""
    (Wz, Wr, Wh), (Rz, Rr, Rh) = np.split(W, 3), np.split(R, 3)
    Wbz, Wbr, Wbh, Rbz, Rbr, Rbh = np.split(B, 6)
    Ht, Y = initial_h, []
    for Xt in X:
        zt = sigmoid(Xt @ Wz.T + Ht @ Rz.T + Wbz + Rbz)
        rt = sigmoid(Xt @ Wr.T + Ht @ Rr.T + Wbr + Rbr)
        if linear_before_reset == 0:
            ht = np.tanh(Xt @ Wh.T + (rt * Ht) @ Rh.T + Rbh + Wbh)
        else:
            ht = np.tanh(Xt @ Wh.T + rt * (Ht @ Rh.T + Rbh) + Wbh)
        Ht = (1 - zt) * ht + zt * Ht
        Y.append(Ht)
    return np.stack(Y), Ht


@pytest.mark.parametrize("reset_after", [False, True])
def test_reset_before_or_after_the_product_is_onnxs_linear_before_reset(reset_after, x64, close):
    layer = GRU(I, H, bidirectional=True, reset_after=reset_after, rngs=nnx.Rngs(0))
    state, x, hx = torch_state_dict(layer), normal(T, B, I), normal(2, B, H)
    output, h_n = call(layer, x, hx)

    def zrh(name):  # from our r z n
        r, z, n = np.split(state[name], 3)
        return np.concatenate([z, r, n])

    def direction(suffix, X, initial_h):
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        W, R, Wb, Rb = (zrh(f"{name}_l0{suffix}") for name in names)
        return onnx_gru(X, W, R, np.concatenate([Wb, Rb]), initial_h, int(reset_after))

    (forward, last), (backward, first) = (
        direction("", x, hx[0]),
        direction("_reverse", x[::-1], hx[1]),
    )
    close(
        (output, h_n),
        (np.concatenate([forward, backward[::-1]], -1), np.stack([last, first])),
        1e-12,
    )


def test_reset_before_the_product_is_the_lectures_gru(x64, close):
    by_hand = GRUByHandCell(H, rngs=nnx.Rngs(0))
    layer = GRU(H, H, bias=False, reset_after=False, rngs=nnx.Rngs(1))

    def rows(kind):  # the lecture multiplies from the right: its kernels are (in, out)
        gates = (getattr(by_hand, f"{kind}_{gate}") for gate in "rzh")
        return np.concatenate([linear.kernel[...].T for linear in gates])

    load_torch_state_dict(layer, {"weight_ih_l0": rows("U"), "weight_hh_l0": rows("W")})
    x, hx = arrays((T, B, H), (1, B, H))
    close(call(layer, x, hx), call(Recurrent(by_hand), x, hx), 1e-13)


def test_reset_before_the_product_is_another_function_than_after_it(x64):
    before, after = (
        GRU(I, H, 2, reset_after=reset_after, rngs=nnx.Rngs(0)) for reset_after in (False, True)
    )
    assert all(type(cell) is OriginalGRUCell for cell in before.cells)
    assert all(type(cell) is GRUCell for cell in after.cells)
    load_torch_state_dict(before, torch_state_dict(after))
    x = normal(T, B, I)
    assert np.abs(call(before, x)[0] - call(after, x)[0]).max() > 1e-3


# Batches


@cases("batch_first", [False, True], short=0)
@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_more_batch_axes_are_the_flat_batch(kind, batch_first, x64, close):
    layer, flat = (build(kind, 2, bidirectional=True, batch_first=b) for b in (batch_first, False))
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


@pytest.mark.parametrize("kind", ["tanh", "proj"])
def test_batch_first_turns_input_and_output_but_not_the_states(kind, close):
    layer, turned = (build(kind, 2, batch_first=batch_first) for batch_first in (False, True))
    x, hx = data(), initial_state(layer, B)
    output, states = call(layer, x, hx)
    close(call(turned, jnp.swapaxes(x, 0, 1), hx), (jnp.swapaxes(output, 0, 1), states), 1e-6)


@pytest.mark.parametrize("batch_first", [False, True])
def test_one_sequence_needs_no_batch_axis(batch_first, close):
    layer = LSTM(I, H, 2, batch_first=batch_first, bidirectional=True, rngs=nnx.Rngs(0))
    x, hx = data()[:, :1], initial_state(layer, 1)
    output, states = call(layer, jnp.swapaxes(x, 0, 1) if batch_first else x, hx)
    alone = call(layer, x[:, 0], jax.tree.map(lambda leaf: leaf[:, 0], hx))
    expected = (
        jnp.squeeze(output, 0 if batch_first else 1),
        jax.tree.map(lambda s: s[:, 0], states),
    )
    close(alone, expected, 1e-6)


def test_an_empty_batch_is_accepted_as_in_torch():
    for kind, (_, reference) in LAYERS.items():
        layer = build(kind, 2, bidirectional=True)
        ours = jax.eval_shape(layer, jnp.zeros((T, 0, I)), lengths=jnp.zeros(0, int))
        theirs = reference(I, H, 2, bidirectional=True)(torch.zeros(T, 0, I))
        shapes = [tuple(leaf.shape) for leaf in jax.tree.leaves(theirs)]
        assert [leaf.shape for leaf in jax.tree.leaves(ours)] == shapes, kind
