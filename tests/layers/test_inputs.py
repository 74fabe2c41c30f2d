"""Cells that read trees of arrays, tokens or images, and what is the same in every step."""

from collections import namedtuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jax_rnn import (
    GRU,
    GatedCell,
    GRUCell,
    HiddenCarry,
    LearnedInitialState,
    LinearCell,
    LSTMCell,
    MinGRUCell,
    Noise,
    Recurrent,
    Residual,
    RNNCell,
    VariationalDropout,
    Wrapper,
    Zoneout,
)
from jax_rnn.scans import Associative, Checkpointed, Gated
from jax_rnn.testing import CellExamError, check_cell
from tests import kit
from tests.cells.zoo import ConvCell, OneState
from tests.kit import cases, refusals, refused, rngs

I, H, B, T, V, S = 3, 4, 2, 5, 7, 6  # noqa: E741


Inputs = namedtuple("Inputs", "frame token")


class ByName(OneState):
    """Reads a frame and a token, from a dict, a tuple or a NamedTuple."""

    def __init__(self, structure, *, rngs):
        super().__init__(structure(I, V), H)
        self.num_feature_axes = structure(1, 0)
        self.input_dtype = structure(None, jnp.integer)
        self.embedding = nnx.Param(jax.random.normal(rngs.params(), (V, H)))
        self.weight = nnx.Param(jax.random.normal(rngs.params(), (H, I + H)))

    def initialize_carry(self, input_shape, rngs=None, carry_init=None):
        frame, *_ = jax.tree.leaves(input_shape, is_leaf=lambda s: type(s) is tuple and I in s)
        return super().initialize_carry(frame)

    def project(self, x):
        frame, token = jax.tree.leaves(x)
        return frame, self.embedding[...][token]

    def step(self, carry, x):
        frame, embedded = x
        h = jnp.concatenate([frame, carry.h], -1) @ self.weight[...].T
        h = jnp.tanh(h + embedded)
        return HiddenCarry(h), h


STRUCTURES = {
    "dict": lambda frame, token: {"frame": frame, "token": token},
    "tuple": lambda frame, token: (frame, token),
    "NamedTuple": Inputs,
}


class Tokens(Wrapper):
    """Embeds tokens for the cell inside."""

    num_feature_axes = 0
    input_dtype = jnp.integer

    def __init__(self, cell, size, *, rngs):
        super().__init__(cell)
        self.input_size = size
        width = (size, cell.input_size)
        self.embedding = nnx.Param(jax.random.normal(rngs.params(), width))

    def before(self, x):
        return self.embedding[...][x].astype(self.dtype)


class Selective(LinearCell[HiddenCarry]):
    """Reads its coefficients from two inputs."""

    def __init__(self):
        self.input_size, self.hidden_size = Inputs(H, H), H
        self.rate = nnx.Param(jnp.zeros(H))

    def coefficients(self, x):
        a = nnx.sigmoid(x.token + self.rate[...])
        return HiddenCarry(a), HiddenCarry((1 - a) * x.frame)

    def output(self, carry, x):
        return carry.h + x.token


def tokens(cell):
    return Tokens(cell, V, rngs=rngs())


def gru_of_tokens():
    return tokens(GRUCell(I, H, rngs=rngs()))


CELLS = {name: lambda s=s: ByName(s, rngs=rngs()) for name, s in STRUCTURES.items()} | {
    "tokens of a gated cell": gru_of_tokens,
    "tokens in zoneout": lambda: Zoneout(tokens(LSTMCell(I, H, rngs=rngs())), h=0.2),
    "zoneout of tokens inside": lambda: tokens(
        VariationalDropout(Zoneout(LSTMCell(I, H, rngs=rngs()), c=0.2), input=0.3)
    ),
    "tokens of a linear cell": lambda: tokens(MinGRUCell(I, H, rngs=rngs())),
    "a linear cell of two inputs": Selective,
}


def inputs(cell, *batch):
    """Random inputs (T, *batch, ...) for a cell: tokens up to V, other arrays of floats."""

    def draw(size):
        if size == V:
            return jnp.asarray(np.random.default_rng(0).integers(0, V, (T, *batch)))
        return jnp.asarray(kit.normal(T, *batch, size), jnp.float32)

    return jax.tree.map(draw, cell.input_size)


@cases("name", CELLS, short=1)
def test_the_checks_of_cells_pass(name):
    check_cell(CELLS[name]())


@cases("name", CELLS, short=3)
def test_layers_of_both_directions_take_any_layout_and_run_in_chunks(name, close):
    cell, other, upper = CELLS[name](), CELLS[name](), GRUCell(2 * H, H, rngs=rngs())
    x, lengths = inputs(cell, B), np.array([T, 3])
    turned = jax.tree.map(lambda leaf: jnp.swapaxes(leaf, 0, 1), x)
    resets = np.zeros((T, B), bool)
    resets[2, 0] = True
    layer = Recurrent((cell, other), upper)
    chunks = Recurrent((cell, other), upper, batch_first=True, scan=Checkpointed(2))
    layer.eval()
    chunks.eval()
    output, h_n = layer(x, lengths=lengths, resets=resets)
    found, last = chunks(turned, lengths=lengths, resets=resets.T)
    close((found.swapaxes(0, 1), jax.tree.leaves(last)), (output, jax.tree.leaves(h_n)), 1e-5)


def test_wrappers_and_cells_that_read_other_inputs_or_context_keep_the_fast_scans():
    for cell in (tokens(GRUCell(I, 32, rngs=rngs())), Attending(I, 32, rngs=rngs())):
        shape = (T, 9) if isinstance(cell, Tokens) else (T, B, I)
        assert Recurrent(cell).chosen_scans(shape, "cpu") == (Gated(1, "before", False),)
    shapes = Inputs((T, B, H), (T, B, H))
    chosen = Recurrent(Selective()).chosen_scans(shapes, "cpu")
    assert chosen == (Associative(parallel=False),)


def gru(*arguments):
    return GRU(I, H, rngs=rngs())(*arguments)


def by_name(structure=Inputs):
    return ByName(structure, rngs=rngs())


FRAMES, TOKENS = jnp.zeros((T, B, I)), jnp.zeros((T, B), int)
UNEQUAL = Inputs(FRAMES, TOKENS[:3])
TE, VE = TypeError, ValueError


# (call, error, words)
def of_tokens():
    return Recurrent(gru_of_tokens())


def step_with_context():
    layer = GRU(I, H, rngs=rngs())
    return layer.step(FRAMES[0], layer.initial_state(B), context=jnp.zeros(3))


def unlike():
    return Recurrent(GRUCell(I, H, rngs=rngs()), by_name())


NO_CONTEXT = "expected no context, since no method of GRUCell has an argument of this name"
REFUSALS = [
    (lambda: gru(TOKENS), VE, "GRU: expected an input of dtype float32|Embedding|one_hot(tokens, "),
    (lambda: gru({"x": FRAMES}), TE, "GRU: expected the input to be an array, got dict"),
    (
        lambda: Recurrent(by_name(STRUCTURES["dict"]))({"frame": FRAMES}),
        TE,
        "an input with the structure of input_size, {'frame': 3, 'token': 7}",
    ),
    (lambda: Recurrent(by_name())(FRAMES), TE, "the structure of input_size|got a float32 array"),
    (
        lambda: Recurrent(by_name())(UNEQUAL),
        VE,
        "numbers of steps and sequences, got [(3, 2), (5, 2)]",
    ),
    (lambda: of_tokens()(jnp.zeros((T, B))), VE, "an input of dtype integer, got float32"),
    (lambda: Residual(by_name()), TE, "Residual: expected a cell that reads one array"),
    (lambda: VariationalDropout(gru_of_tokens(), input=0.2), TE, "inputs are floats, got Tokens"),
    (unlike, VE, "expected a cell with input_size 4 in this layer, got ByName"),
    # context
    (lambda: GRU(I, H, rngs=rngs())(FRAMES, context=jnp.zeros(3)), TE, f"GRU: {NO_CONTEXT}"),
    (step_with_context, TE, "expected no context"),
    (
        lambda: Recurrent(Attending(I, H, rngs=rngs()))(FRAMES, context={"keys": "a"}),
        TE,
        "expected context to be arrays, got str",
    ),
]


test_refused_in_words = refusals(REFUSALS, "unchecked")


class NoisyConvCell(ConvCell):
    def noise(self, key, batch):
        return 0.1 * jax.random.normal(key, (*batch, self.hidden_size), self.dtype)

    def step(self, carry, x, noise=None):
        carry, y = super().step(carry, x)
        return carry, y if noise is None else y + noise.step


IMAGES = {
    "plain": lambda: ConvCell(I, H, rngs=rngs()),
    "noise": lambda: NoisyConvCell(I, H, rngs=rngs()),
    "zoneout": lambda: Zoneout(ConvCell(I, H, rngs=rngs()), h=0.3),
    "variational dropout": lambda: VariationalDropout(ConvCell(I, H, rngs=rngs()), input=0.3),
    "learned initial state": lambda: LearnedInitialState(ConvCell(I, H, rngs=rngs())),
}


class TestImages:
    @cases("name", IMAGES, short=0)
    def test_the_checks_pass_for_cells_on_images(self, name):
        check_cell(IMAGES[name]())

    @pytest.mark.parametrize("name", ["noise", "zoneout", "variational dropout"])
    def test_every_pixel_and_row_of_images_has_random_numbers_of_its_own(self, name):
        layer = Recurrent(IMAGES[name](), batch_first=True)
        x = jnp.asarray(kit.normal(B, T, 6, 5, I), jnp.float32)
        output, other = (layer(x, rngs=jax.random.key(seed))[0] for seed in (1, 2))
        assert output.shape == (B, T, 6, 5, H)
        assert np.asarray(output != other)[:, 1:].any((1, 4)).all()

    def test_images_run_through_a_stack_with_lengths(self, x64, close):
        first, second = ConvCell(2, 3, rngs=rngs()), ConvCell(3, 3, rngs=rngs())
        layer = Recurrent(first, second, batch_first=True)
        x, lengths = jnp.asarray(kit.normal(B, T, 6, 5, 2)), np.array([T, 3])
        output, h_n = layer(x, lengths=lengths)
        for row, length in enumerate(lengths):
            lower, h = Recurrent(first)(x[row, :length])
            ys, h_last = Recurrent(second)(lower)
            close((output[row, :length], h_n[:, row]), (ys, jnp.concatenate([h, h_last])))
            assert not output[row, length:].any()
        assert layer(x[:, :2], h_n)[0].shape == (B, 2, 6, 5, 3)

    def test_dropout_of_inputs_lies_over_the_features(self, close):
        """The mask of a square image with as many rows as the batch has sequences."""
        cell = VariationalDropout(ConvCell(I, H, rngs=rngs()), input=0.5)
        masks, _ = cell.sequence_noise(jax.random.key(0), (B, B, B))
        assert masks.shape == (B, B, B, I)
        x = jnp.ones((B, B, B, I))
        close(cell.before(x, Noise(None, (masks, None))), masks)


class Attending(GatedCell[HiddenCarry]):
    """A GRU that attends to the outputs of an encoder, (B, S, H), in every step."""

    gates = ("r", "z", "n")
    separate = ("n",)

    def update(self, gates, carry, context):
        weights = nnx.softmax(jnp.einsum("...h,...sh->...s", carry.h, context["keys"]))
        read = jnp.einsum("...s,...sh->...h", weights, context["keys"])
        r, z = nnx.sigmoid(gates.r + read), nnx.sigmoid(gates.z)
        n = jnp.tanh(gates.n.x + r * gates.n.h)
        h = (1 - z) * n + z * carry.h
        return HiddenCarry(h), h


class Speaker(LinearCell[HiddenCarry]):
    """A decay for each row, given from outside."""

    def __init__(self):
        self.input_size = self.hidden_size = H

    def coefficients(self, x, context):
        return HiddenCarry(nnx.sigmoid(context["decay"])), HiddenCarry(x)

    def output(self, carry, x, context):
        return carry.h * context["gain"]


class StepContext(RNNCell):
    def update(self, gates, carry, context=None):
        new, y = super().update(gates, carry)
        return new, y if context is None else y * context["gain"]


class Film(Wrapper):
    """Scales the argument of the hidden map by the context."""

    def on_read(self, h, context):
        return h * context["gain"]

    def before(self, x, noise=None, context=None):
        return x * context["gain"][..., :1]


def context(*batch):
    return {
        "keys": jnp.asarray(kit.normal(*batch, S, H), jnp.float32),
        "decay": jnp.asarray(kit.normal(*batch, H, seed=1), jnp.float32),
        "gain": jnp.asarray(kit.normal(*batch, H, seed=2), jnp.float32),
        "index": jnp.zeros(batch, jnp.int32),
    }


CONTEXT = {
    "update": lambda: Attending(I, H, rngs=rngs()),
    "coefficients": Speaker,
    "optional": lambda: StepContext(I, H, rngs=rngs()),
    "a wrapper": lambda: Film(GRUCell(I, H, rngs=rngs())),
    "in wrappers": lambda: Zoneout(Attending(I, H, rngs=rngs()), h=0.3),
}


class TestContext:
    @cases("name", CONTEXT, short=3)
    def test_the_checks_of_cells_pass_with_context(self, name):
        """Context reaches every step under every scan, and has gradients."""
        check_cell(CONTEXT[name](), context=context(3))

    def test_context_goes_to_the_cells_that_read_it(self, close):
        layer = Recurrent(GRUCell(I, H, rngs=rngs()), Attending(H, H, rngs=rngs()))
        x, given = jnp.asarray(kit.normal(T, B, I), jnp.float32), context(B)
        output, _ = layer(x, context=given)
        lower, _ = Recurrent(layer.cells[0])(x)
        close(output, Recurrent(layer.cells[1])(lower, context=given)[0], 1e-6)
        state = layer.initial_state(B)
        for x_t, expected in zip(x, output, strict=True):
            y, state = layer.step(x_t, state, context=given)
            close(y, expected, 1e-5)

    def test_a_cell_that_needs_context_fails_the_exam_without_it(self):
        refused(
            CellExamError, "Attending, contract", lambda: check_cell(Attending(I, H, rngs=rngs()))
        )
