"""Sequences of different lengths: torch's packed sequences, padding without effect, jit."""

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
    lengths_to_mask,
    pack_padded_sequence,
    pad_packed_sequence,
    torch_state_dict,
)
from tests.kit import cases, normal

torch = pytest.importorskip("torch")
rnn = torch.nn.utils.rnn

I, H, P, B, T = 3, 4, 2, 4, 5  # noqa: E741

LAYERS = {
    "tanh": (RNN, torch.nn.RNN),
    "lstm": (LSTM, torch.nn.LSTM),
    "proj": (partial(LSTM, proj_size=P), partial(torch.nn.LSTM, proj_size=P)),
    "gru": (GRU, torch.nn.GRU),
}

UNSORTED = (3, 5, 1, 4)
LENGTHS = {"unsorted": UNSORTED, "all T": (T,) * B, "all equal": (2,) * B, "ties": (1, 5, 1, 5)}


def build(kind, *options, seed=0, **keywords):
    return LAYERS[kind][0](I, H, *options, rngs=nnx.Rngs(seed), **keywords)


def initial_state(layer, batch=B):
    zero = layer.cells[0].initialize_carry((batch, layer.input_size))
    states = layer.num_layers * (2 if layer.bidirectional else 1)
    hx = tuple(
        jnp.asarray(normal(states, *leaf.shape, seed=k), layer.dtype) for k, leaf in enumerate(zero)
    )
    return hx if len(hx) > 1 else hx[0]


@jax.jit
def call(layer, x, hx=None, lengths=None, key=None):
    return layer(x, hx, lengths=lengths, rngs=key)


def weighted(out):
    """A number that depends on every value of the result, on each with another weight."""
    weights = partial(normal, seed=9)
    return sum((y * weights(*y.shape).astype(y.dtype)).sum() for y in jax.tree.leaves(out))


@jax.jit
def results(layer, x, hx, lengths, key=None):
    """Outputs and states, gradients of input and hx, gradients of the weights."""

    def loss(layer, x, hx):
        out = layer(x, hx, lengths=lengths, rngs=key)
        return weighted(out), out

    weights, *inputs = jax.grad(loss, (0, 1, 2), has_aux=True)(layer, x, hx)[0]
    return (
        jax.tree.leaves(layer(x, hx, lengths=lengths, rngs=key)),
        jax.tree.leaves(inputs),
        weights,
    )


def named(results):
    outputs, inputs, weights = results
    return outputs, inputs, torch_state_dict(weights)


def test_lengths_of_all_steps_are_no_lengths(close):
    layer = build("lstm", 2, bidirectional=True)
    x, hx = jnp.asarray(normal(T, B, I), jnp.float32), initial_state(layer)
    close(call(layer, x, hx, np.array([T] * B)), call(layer, x, hx), 1e-6)


def test_batch_first_takes_the_same_lengths(close):
    layer, turned = (build("gru", 2, batch_first=b, bidirectional=True) for b in (False, True))
    x, hx = jnp.asarray(normal(T, B, I), jnp.float32), initial_state(layer)
    output, h_n = call(layer, x, hx, np.array(UNSORTED))
    there = call(turned, jnp.swapaxes(x, 0, 1), hx, np.array(UNSORTED))
    close(there, (jnp.swapaxes(output, 0, 1), h_n), 1e-6)


def test_one_sequence_without_a_batch_takes_one_length(close):
    layer = build("gru", bidirectional=True)
    x = jnp.asarray(normal(T, B, I), jnp.float32)
    output, h_n = call(layer, x, None, np.array(UNSORTED))
    for k, length in enumerate(UNSORTED):
        close(call(layer, x[:, k], None, np.asarray(length)), (output[:, k], h_n[:, k]), 1e-6)
    close(layer(x[:, 0], lengths=UNSORTED[0]), (output[:, 0], h_n[:, 0]), 1e-6)


# Length 0


@cases("kind", LAYERS, short=1)
def test_a_length_of_zero_leaves_the_state_as_it_was(kind, x64, close):
    layer = build(kind, 2, bidirectional=True)
    x, hx = jnp.asarray(normal(T, B, I)), initial_state(layer)
    lengths = np.array([0, 5, 0, 2])
    empty, others = lengths == 0, lengths > 0

    def rows(tree, which):
        return jax.tree.map(lambda leaf: leaf[:, which], tree)

    (output, *states), (dx, *dhx), _ = results(layer, x, hx, lengths)
    assert (output[:, empty] == 0).all()
    assert (dx[:, empty] == 0).all()
    close(rows(states, empty), rows(jax.tree.leaves(hx), empty), 0)
    arrived = [normal(*leaf.shape, seed=9) for leaf in states]  # cotangents of the final state
    close(rows(dhx, empty), rows(arrived, empty), 0)

    (fuller, *further), (dfuller, *dfurther), _ = results(layer, x, hx, np.array([3, 5, 4, 2]))
    same = ([fuller, *further], [dfuller, *dfurther])  # but for the rows that were empty
    close(rows(([output, *states], [dx, *dhx]), others), rows(same, others), 1e-13)


def test_a_length_of_zero_without_hx_ends_in_zeros():
    layer, x = build("lstm", bidirectional=True), jnp.asarray(normal(T, B, I), jnp.float32)
    _, states = call(layer, x, None, np.array([0, 5, 0, 2]))
    for state in states:
        assert ((state != 0).all(-1) == np.array([False, True, False, True])).all()


def test_all_lengths_zero_give_no_gradient_to_any_weight():
    layer = build("lstm", 2, bidirectional=True)
    x, hx = jnp.asarray(normal(T, B, I), jnp.float32), initial_state(layer)
    _, _, weights = named(results(layer, x, hx, np.zeros(B, int)))
    assert all((gradient == 0).all() for gradient in weights.values())


# Padding


def padded_with(value, x, lengths):
    return np.where(np.arange(T)[:, None, None] < np.array(lengths)[:, None], x, value)


@cases("kind", LAYERS, short=1)
def test_padding_reaches_no_value_and_no_gradient(kind, close):
    layer = build(kind, 2, dropout=0.5, bidirectional=True)
    x, hx = normal(T, B, I).astype(np.float32), initial_state(layer)
    lengths, key = (3, 5, 0, 1), jax.random.key(0)
    clean, *dirty = (
        named(results(layer, jnp.asarray(padded_with(v, x, lengths)), hx, np.array(lengths), key))
        for v in (0, np.nan, np.inf, -np.inf)
    )
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(clean))
    assert (clean[1][0] == padded_with(0, clean[1][0], lengths)).all()  # none for the padding
    for results_ in dirty:
        close(results_, clean, 0)


def test_what_a_masked_loss_sees_past_the_end_reaches_no_gradient(close):
    """0 * NaN is NaN: a target of NaN in the padding gives a cotangent of NaN."""
    layer = build("gru", 2, bidirectional=True)
    lengths = np.array([3, 5, 0, 1])
    x = padded_with(np.nan, normal(T, B, I).astype(np.float32), lengths)
    target = normal(T, B, 2 * H).astype(np.float32)

    @jax.jit
    @jax.value_and_grad
    def loss(layer, target):
        error = (layer(jnp.asarray(x), lengths=lengths)[0] - target) ** 2
        return jnp.where(lengths_to_mask(jnp.asarray(lengths), T)[..., None], error, 0).sum()

    clean, dirty = (loss(layer, padded_with(fill, target, lengths)) for fill in (0, np.nan))
    assert np.isfinite(dirty[0])
    close(dirty[0], clean[0], 0)
    close(torch_state_dict(dirty[1]), torch_state_dict(clean[1]), 0)


# Lengths as data


def test_lengths_inside_jit_are_those_outside(close):
    layer = build("lstm", 2, bidirectional=True)
    x, hx = jnp.asarray(normal(T, B, I), jnp.float32), initial_state(layer)
    lengths = np.array([3, 5, 0, 4])
    close(call(layer, x, hx, lengths), layer(x, hx, lengths=lengths), 1e-6)


def test_lengths_out_of_range_inside_jit_read_as_the_nearest_in_range(close):
    layer = build("gru", bidirectional=True)
    x = jnp.asarray(normal(T, B, I), jnp.float32)
    actual = call(layer, x, None, np.array([T + 1, -1, 1000, 2]))
    close(actual, call(layer, x, None, np.array([T, 0, T, 2])), 0)
    largest = call(layer, x, None, np.array([2**32 - 1, 0, T, 2], np.uint32))
    close(largest, actual, 0)


def test_other_lengths_need_no_other_program():
    layer, traces = build("gru", 2, bidirectional=True), []
    x = jnp.asarray(normal(T, B, I), jnp.float32)

    @jax.jit
    def gradient(layer, lengths):
        traces.append(lengths)
        return jax.grad(lambda layer: weighted(layer(x, lengths=lengths)))(layer)

    for lengths in LENGTHS.values():
        gradient(layer, np.array(lengths))
    assert len(traces) == 1


def test_a_second_call_outside_jit_compiles_nothing(compilations):
    layer = build("gru")
    x = jnp.asarray(normal(T, B, I), jnp.float32)
    layer(x, lengths=np.array(UNSORTED))
    compilations.clear()
    layer(x, lengths=np.array([5, 5, 0, 1]))
    assert len(compilations) == 0


@cases(
    "lengths",
    [
        pytest.param([3, 5, 0, 4], id="list"),
        pytest.param((3, 5, 0, 4), id="tuple"),
        pytest.param(np.array([3, 5, 0, 4]), id="NumPy"),
        pytest.param(jnp.array([3, 5, 0, 4]), id="JAX"),
        pytest.param(torch.tensor([3, 5, 0, 4]), id="torch"),
        *(
            pytest.param(np.array([3, 5, 0, 4], dtype), id=dtype)
            for dtype in ("int8", "uint8", "int16", "uint32", "int64", "uint64")
        ),
    ],
    short=3,
)
def test_lengths_may_be_any_integers(lengths, close):
    mask = np.arange(T)[:, None] < np.array([3, 5, 0, 4])
    output, _ = build("tanh")(jnp.asarray(normal(T, B, I), jnp.float32), lengths=lengths)
    assert ((output != 0).all(-1) == mask).all()


def test_lengths_of_64_bits_are_lengths_like_any_other(x64, close):
    layer, x = build("gru"), jnp.asarray(normal(T, B, I))
    close(
        call(layer, x, None, jnp.array(UNSORTED)), call(layer, x, None, np.array(UNSORTED, "i1")), 0
    )


def test_mask_of_small_integers_reaches_further_than_they_do():
    mask = lengths_to_mask(jnp.array([100, 127], jnp.int8), 300)
    assert mask.sum(0).tolist() == [100, 127]
    assert lengths_to_mask(jnp.array([200], jnp.uint8), 1000).sum() == 200
    assert lengths_to_mask(jnp.array([[1, 2], [0, 3]]), 3).tolist() == [
        [[True, True], [False, True]],
        [[False, True], [False, True]],
        [[False, False], [False, True]],
    ]


# Packing


def fields(packed):
    return [np.asarray(field) for field in packed]


def padded(batch_first=False, features=(I,)):
    x = normal(T, B, *features)
    return np.swapaxes(x, 0, 1) if batch_first else x


@cases("features", [(), (I,), (2, I)], ids=str, short=4)
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
def test_packed_form_is_torchs(lengths, batch_first, features, x64, close):
    x = padded(batch_first, features)
    ours = pack_padded_sequence(x, np.array(lengths), batch_first, enforce_sorted=False)
    theirs = rnn.pack_padded_sequence(
        torch.tensor(x), torch.tensor(lengths), batch_first, enforce_sorted=False
    )
    close(fields(ours), fields(theirs), 0)
    back, lengths_back = pad_packed_sequence(ours, batch_first, total_length=T)
    there, lengths_there = rnn.pad_packed_sequence(theirs, batch_first, total_length=T)
    close((back, lengths_back), (there.numpy(), lengths_there.numpy()), 0)
    assert tuple(lengths_back) == tuple(lengths)


def test_sorted_lengths_are_packed_as_in_torch(x64, close):
    lengths = [5, 4, 4, 1]
    ours = pack_padded_sequence(padded(), lengths)
    theirs = rnn.pack_padded_sequence(torch.tensor(padded()), lengths)
    close((ours.data, ours.batch_sizes), (theirs.data.numpy(), theirs.batch_sizes.numpy()), 0)
    for order in (ours.sorted_indices, ours.unsorted_indices):  # None in torch
        assert order is None or (np.asarray(order) == np.arange(B)).all()


@cases("fill", [0.0, 1.5, np.nan], ids=str, short=4)
@pytest.mark.parametrize("total_length", [None, T, T + 2])
@pytest.mark.parametrize("batch_first", [False, True])
def test_padding_back_takes_torchs_packed_sequence(batch_first, total_length, fill, x64, close):
    lengths = torch.tensor([3, 4, 1, 4])
    packed = rnn.pack_padded_sequence(
        torch.tensor(padded(batch_first)), lengths, batch_first, enforce_sorted=False
    )
    ours, our_lengths = pad_packed_sequence(packed, batch_first, fill, total_length)
    theirs, their_lengths = rnn.pad_packed_sequence(packed, batch_first, fill, total_length)
    close((ours, our_lengths), (theirs.numpy(), their_lengths.numpy()), 0)
    without_order = rnn.pack_padded_sequence(torch.tensor(padded()), [5, 4, 4, 1])
    assert without_order.unsorted_indices is None
    close(pad_packed_sequence(without_order)[1], [5, 4, 4, 1], 0)


def test_output_of_torchs_layer_can_be_padded_back(close):
    """A tensor that requires a gradient, which NumPy cannot read."""
    packed = rnn.pack_padded_sequence(torch.randn(T, B, I), [5, 4, 4, 1])
    output, _ = torch.nn.GRU(I, H)(packed)
    expected = rnn.pad_packed_sequence(output)[0].detach().numpy()
    close(pad_packed_sequence(output)[0], expected, 0)


def test_packed_bfloat16_of_torch_can_be_padded_back(close):
    packed = rnn.pack_padded_sequence(torch.randn(T, B, I).bfloat16(), [5, 4, 4, 1])
    back, _ = pad_packed_sequence(packed)
    assert back.dtype == jnp.bfloat16
    close(back.astype(jnp.float32), rnn.pad_packed_sequence(packed)[0].float().numpy(), 0)


def test_packing_and_padding_back_keeps_dtype_and_values():
    for dtype in (np.float32, jnp.bfloat16, np.int32):
        x = padded_with(0, 10 * padded(), UNSORTED).astype(dtype)
        packed = pack_padded_sequence(x, UNSORTED, enforce_sorted=False)
        back, lengths = pad_packed_sequence(packed)
        assert packed.data.dtype == back.dtype == dtype
        assert (back == x).all()
        assert tuple(lengths) == UNSORTED


def test_our_packed_sequence_runs_in_torch(close):
    layer = build("gru", bidirectional=True)
    module = torch.nn.GRU(I, H, bidirectional=True)
    state = {name: torch.tensor(value) for name, value in torch_state_dict(layer).items()}
    module.load_state_dict(state)
    x = normal(T, B, I).astype(np.float32)
    packed = pack_padded_sequence(x, UNSORTED, enforce_sorted=False)
    tensors = (torch.tensor(np.array(field)) for field in packed)
    output, h_n = module(rnn.PackedSequence(*tensors))
    ours = call(layer, jnp.asarray(x), None, np.array(UNSORTED))
    close(
        ours,
        (pad_packed_sequence(output._replace(data=output.data.detach()))[0], h_n.detach()),
        1e-6,
    )
