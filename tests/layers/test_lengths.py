"""Sequences of different lengths: torch's packed sequences, padding without effect, jit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jax_rnn import lengths_to_mask, pack_padded_sequence, pad_packed_sequence, torch_state_dict
from tests.kit import cases, normal
from tests.layers.kit import LAYERS, H, I, T, array, build, call, initial_state, torch, weighted

rnn = torch.nn.utils.rnn

B = 4

UNSORTED = (3, 5, 1, 4)
LENGTHS = {"unsorted": UNSORTED, "all T": (T,) * B, "all equal": (2,) * B, "ties": (1, 5, 1, 5)}


def padded_with(value, x, lengths):
    return np.where(np.arange(T)[:, None, None] < np.array(lengths)[:, None], x, value)


UNEQUAL = np.array([3, 5, 0, 1])


class TestPadding:
    @cases("kind", LAYERS, short=1)
    def test_padding_reaches_no_value_and_no_gradient(self, kind, close):
        layer = build(kind, 2, dropout=0.5, bidirectional=True)
        x, hx = normal(T, B, I).astype(np.float32), initial_state(layer, B)

        @jax.jit
        def results(layer, x, hx):
            def loss(layer, x, hx):
                out = layer(x, hx, lengths=UNEQUAL, rngs=jax.random.key(0))
                return weighted(out), out

            return jax.grad(loss, (0, 1, 2), has_aux=True)(layer, x, hx)

        clean, *dirty = (
            jax.tree.leaves(results(layer, jnp.asarray(padded_with(fill, x, UNEQUAL)), hx))
            for fill in (0, np.nan, np.inf, -np.inf)
        )
        assert all(np.isfinite(leaf).all() for leaf in clean)
        for found in dirty:
            close(found, clean, 0)

    def test_what_a_masked_loss_sees_past_the_end_reaches_no_gradient(self, close):
        """0 * NaN is NaN: a target of NaN in the padding gives a cotangent of NaN."""
        layer = build("gru", 2, bidirectional=True)
        x = jnp.asarray(padded_with(np.nan, normal(T, B, I).astype(np.float32), UNEQUAL))
        target = normal(T, B, 2 * H).astype(np.float32)

        @jax.jit
        @jax.value_and_grad
        def loss(layer, target):
            error = (layer(x, lengths=UNEQUAL)[0] - target) ** 2
            return jnp.where(lengths_to_mask(jnp.asarray(UNEQUAL), T)[..., None], error, 0).sum()

        clean, dirty = (loss(layer, padded_with(fill, target, UNEQUAL)) for fill in (0, np.nan))
        assert np.isfinite(dirty[0])
        close(dirty[0], clean[0], 0)
        close(torch_state_dict(dirty[1]), torch_state_dict(clean[1]), 0)


class TestLengths:
    def test_the_largest_length_that_can_be_written_reads_as_all_steps(self, close):
        layer, x = build("gru", bidirectional=True), array(T, B, I, dtype=jnp.float32)
        largest = call(layer, x, None, np.array([2**32 - 1, 0, T, 2], np.uint32))
        close(largest, call(layer, x, None, np.array([T, 0, T, 2])), 0)

    def test_other_lengths_need_no_other_program(self):
        layer, traces = build("gru", 2, bidirectional=True), []
        x = array(T, B, I, dtype=jnp.float32)

        @jax.jit
        def gradient(layer, lengths):
            traces.append(lengths)
            return jax.grad(lambda layer: weighted(layer(x, lengths=lengths)))(layer)

        for lengths in LENGTHS.values():
            gradient(layer, np.array(lengths))
        assert len(traces) == 1

    @pytest.mark.parametrize("lengths", [(None, None), (UNSORTED, (5, 5, 0, 1))])
    def test_a_second_call_outside_jit_compiles_nothing(self, lengths, compilations):
        layer, x = build("gru"), array(T, B, I, dtype=jnp.float32)
        for given in lengths:
            compilations.clear()
            layer(x, lengths=given if given is None else np.array(given))
        assert compilations == []

    @cases(
        "form",
        [list, jnp.array, np.array, tuple, torch.tensor]
        + [np.dtype(name).type for name in ("i1", "u1", "i2", "u4", "i8", "u8")],
        short=3,
    )
    @pytest.mark.parametrize("enabled", [False, True], ids=["32 bits", "64 bits"])
    def test_lengths_may_be_any_integers(self, form, enabled):
        mask = np.arange(T)[:, None] < np.array([3, 5, 0, 4])
        with jax.enable_x64(enabled):
            output, _ = build("tanh")(array(T, B, I), lengths=form([3, 5, 0, 4]))
            assert ((output != 0).all(-1) == mask).all()

    def test_mask_of_small_integers_reaches_further_than_they_do(self):
        assert lengths_to_mask(jnp.array([100, 127], jnp.int8), 300).sum(0).tolist() == [100, 127]
        assert lengths_to_mask(jnp.array([200], jnp.uint8), 1000).sum() == 200
        mask = lengths_to_mask(jnp.array([[1, 2], [0, 3]]), 3).astype(int)
        assert mask.tolist() == [[[1, 1], [0, 1]], [[0, 1], [0, 1]], [[0, 0], [0, 1]]]


def fields(packed):
    return [np.asarray(field) for field in packed]


def padded(batch_first=False, features=(I,)):
    x = normal(T, B, *features)
    return np.swapaxes(x, 0, 1) if batch_first else x


SORTED = [5, 4, 4, 1]


class TestPacking:
    @cases("features", [(), (I,), (2, I)], ids=str, short=4)
    @pytest.mark.parametrize("batch_first", [False, True])
    @pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
    def test_packed_form_is_torchs(self, lengths, batch_first, features, x64, close):
        x, options = padded(batch_first, features), {"enforce_sorted": False}
        ours = pack_padded_sequence(x, np.array(lengths), batch_first, **options)
        tensors = torch.tensor(x), torch.tensor(lengths)
        theirs = rnn.pack_padded_sequence(*tensors, batch_first, **options)
        close(fields(ours), fields(theirs), 0)
        back, lengths_back = pad_packed_sequence(ours, batch_first, total_length=T)
        there, lengths_there = rnn.pad_packed_sequence(theirs, batch_first, total_length=T)
        close((back, lengths_back), (there.numpy(), lengths_there.numpy()), 0)
        assert tuple(lengths_back) == tuple(lengths)

    def test_sorted_lengths_are_packed_as_in_torch_and_padded_back_without_an_order(
        self, x64, close
    ):
        ours = pack_padded_sequence(padded(), SORTED)
        theirs = rnn.pack_padded_sequence(torch.tensor(padded()), SORTED)
        close((ours.data, ours.batch_sizes), (theirs.data.numpy(), theirs.batch_sizes.numpy()), 0)
        for order in (ours.sorted_indices, ours.unsorted_indices):  # None in torch
            assert order is None or (np.asarray(order) == np.arange(B)).all()
        assert theirs.unsorted_indices is None
        close(pad_packed_sequence(theirs)[1], SORTED, 0)

    @cases("fill", [0.0, 1.5, np.nan], ids=str, short=4)
    @pytest.mark.parametrize("total_length", [None, T, T + 2])
    @pytest.mark.parametrize("batch_first", [False, True])
    def test_padding_back_takes_torchs_packed_sequence(
        self, batch_first, total_length, fill, x64, close
    ):
        tensors = torch.tensor(padded(batch_first)), torch.tensor([3, 4, 1, 4])
        packed = rnn.pack_padded_sequence(*tensors, batch_first, enforce_sorted=False)
        ours, our_lengths = pad_packed_sequence(packed, batch_first, fill, total_length)
        theirs, their_lengths = rnn.pad_packed_sequence(packed, batch_first, fill, total_length)
        close((ours, our_lengths), (theirs.numpy(), their_lengths.numpy()), 0)

    @pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
    def test_output_of_torchs_layer_can_be_padded_back(self, dtype, close):
        """A tensor that requires a gradient, which NumPy cannot read."""
        kind = getattr(torch, dtype)
        packed = rnn.pack_padded_sequence(torch.randn(T, B, I).to(kind), SORTED)
        output, _ = torch.nn.GRU(I, H).to(kind)(packed)
        back, expected = pad_packed_sequence(output)[0], rnn.pad_packed_sequence(output)[0]
        assert back.dtype.name == dtype
        close(back.astype(jnp.float32), expected.detach().float().numpy(), 0)

    @pytest.mark.parametrize("dtype", [np.float32, jnp.bfloat16, np.int32])
    def test_packing_and_padding_back_keeps_dtype_and_values(self, dtype):
        x = padded_with(0, 10 * padded(), UNSORTED).astype(dtype)
        packed = pack_padded_sequence(x, UNSORTED, enforce_sorted=False)
        back, lengths = pad_packed_sequence(packed)
        assert packed.data.dtype == back.dtype == dtype
        assert (back == x).all() and tuple(lengths) == UNSORTED

    def test_our_packed_sequence_runs_in_torch(self, close):
        layer, module = build("gru", bidirectional=True), torch.nn.GRU(I, H, bidirectional=True)
        state = torch_state_dict(layer)
        module.load_state_dict({name: torch.tensor(value) for name, value in state.items()})
        x = normal(T, B, I).astype(np.float32)
        packed = pack_padded_sequence(x, UNSORTED, enforce_sorted=False)
        output, h_n = module(
            rnn.PackedSequence(*(torch.tensor(np.array(field)) for field in packed))
        )
        theirs = pad_packed_sequence(output)[0], h_n.detach()
        close(call(layer, jnp.asarray(x), None, np.array(UNSORTED)), theirs, 1e-6)
