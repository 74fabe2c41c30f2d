"""Cells against packages that need an environment of their own: `make test-oracles`."""

import functools
import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np
import onnx
import pytest
import torch
from onnx import helper
from onnx.reference import ReferenceEvaluator
from recurrentgemma.torch import layers as griffin
from torch import nn
from xlstm.blocks.mlstm.backends import recurrent_step_stabilized_simple
from xlstm.blocks.slstm.cell import sLSTMCell_vanilla, sLSTMCellConfig
from xlstm.blocks.slstm.src.vanilla import slstm_forward
from xlstm.blocks.slstm.src.vanilla.slstm import slstm_forward_pointwise

from jax_rnn import GRUCell, LSTMCell, OriginalGRUCell, Recurrent, cells
from jax_rnn.interop import package_weights
from tests.kit import rngs
from tests.oracles.kit import Oracle, arrays, ours, random_cell, steps, theirs

I, H, HEADS = 5, 4, 2  # noqa: E741


@pytest.fixture(autouse=True)
def double(x64):
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


class SLSTM(nn.Module):
    """xlstm's sLSTM, and the map of the input that it leaves to its caller."""

    def __init__(self):
        super().__init__()
        config = sLSTMCellConfig(hidden_size=H, num_heads=HEADS, backend="vanilla")
        self.inside = (sLSTMCell_vanilla(config),)
        self.weight_ih = nn.Parameter(torch.zeros(4 * H, I))
        self.recurrent_kernel = nn.Parameter(torch.zeros(HEADS, H // HEADS, 4, H // HEADS))
        self.bias = nn.Parameter(torch.zeros(HEADS, 4, H // HEADS))

    def states(self, x, states):
        """x (T, B, I) and states (4, B, H): the states before and after all steps."""
        (cell,) = self.inside
        kernel = cell._recurrent_kernel_ext2int(self.recurrent_kernel)
        bias = cell._bias_ext2int(self.bias)
        return slstm_forward(x @ self.weight_ih.T, states, kernel, bias, slstm_forward_pointwise)[0]


def slstm(module, x, state):
    found = module.states(x[:, None], torch.stack(state)[:, None])[:, 1:, 0]
    return found[0], tuple(found[:, -1])


class MLSTM(nn.Module):
    """xlstm's recurrent step, between the maps that it leaves to its caller."""

    def __init__(self):
        super().__init__()
        self.weight_ih = nn.Parameter(torch.zeros(4 * H, I))
        self.bias_ih = nn.Parameter(torch.zeros(4 * H))
        self.weight_gates = nn.Parameter(torch.zeros(2 * HEADS, I))
        self.bias_gates = nn.Parameter(torch.zeros(2 * HEADS))

    def forward(self, x, state):
        c, n, m = state
        *maps, o = (self.weight_ih @ x + self.bias_ih).chunk(4)
        q, k, v = (part.reshape(1, HEADS, 1, H // HEADS).clone() for part in maps)
        i, f = (self.weight_gates @ x + self.bias_gates).reshape(2, 1, HEADS, 1, 1)
        y, (c, n, m) = recurrent_step_stabilized_simple(
            c[None], n[None, ..., None], m[None, :, None, None], q, k, v, i, f
        )
        return o.sigmoid() * y.reshape(H), (c[0], n[0, ..., 0], m[0, :, 0, 0])


def griffin_run(module, x, state):
    """A first position of 1: at 0 the authors leave out the factor of the input."""
    positions = torch.arange(1, len(x) + 1)[None]
    y, last = module(x[None], positions, state[0][None])
    return y[0], (last[0],)


class Keras(nn.Module):
    def __init__(self):
        super().__init__()
        layer = keras.layers.ConvLSTM2D(
            3, (3, 3), padding="same", recurrent_activation="sigmoid", dtype="float64"
        )
        layer.build((None, None, 4, 3, 2))
        self.inside = (layer.cell,)
        names = ("kernel", "recurrent_kernel", "bias")
        for name, variable in zip(names, layer.cell.trainable_variables, strict=True):
            self.register_parameter(name, nn.Parameter(torch.zeros(tuple(variable.shape))))

    def forward(self, x, state):
        variables = [self.kernel, self.recurrent_kernel, self.bias]
        states = [leaf[None] for leaf in state]
        (cell,) = self.inside
        seeds = [variable.value for variable in cell.non_trainable_variables]
        (y, (h, c)), _ = cell.stateless_call(variables, seeds, x[None], states)
        return y[0], (h[0], c[0])


ORACLES = {
    "sLSTM": Oracle(
        lambda: cells.SLSTMCell(I, H, heads=HEADS, rngs=rngs()),
        SLSTM,
        "xlstm",
        ("weight_ih",),
        slstm,
    ),
    "mLSTM": Oracle(lambda: cells.MLSTMCell(I, H, heads=HEADS, rngs=rngs()), MLSTM),
    "RG-LRU": Oracle(
        lambda: cells.RGLRUCell(H, heads=HEADS, rngs=rngs()),
        lambda: griffin.RGLRU(H, HEADS),
        "recurrentgemma",
        (),
        griffin_run,
    ),
    "ConvLSTM": Oracle(
        lambda: cells.ConvLSTMCell(2, 3, rngs=rngs()), Keras, "keras", (), steps, (4, 3)
    ),
}


@pytest.mark.parametrize("name", ORACLES)
@pytest.mark.parametrize("resets", [True, False])
def test_outputs_states_and_gradients_agree(name, resets, close, monkeypatch):
    scan = functools.partial(griffin.rnn_scan, acc_dtype=torch.float64)
    monkeypatch.setattr(griffin, "rnn_scan", scan)  # sums in float32 otherwise
    oracle = ORACLES[name]
    cell = random_cell(oracle)
    given = arrays(cell, oracle, resets)
    close(ours(cell, given), theirs(cell, oracle, given), 1e-9)


def test_xlstm_decides_the_first_step_for_the_whole_batch():
    """A reset of one row of two: the other row's state keeps the first branch from being taken."""
    cell, module = random_cell(ORACLES["sLSTM"]), SLSTM()
    cell.bias_ih[...] = cell.bias_ih[...].at[:H].set(-800)  # of the input gates
    x = np.random.default_rng(0).normal(size=(1, 2, I))
    ran = np.random.default_rng(1).uniform(0.5, 1, size=(4, 2, H))
    ran[:, 1] = 0
    h, _ = Recurrent(cell)(x, cells.SLSTMCarry(*ran[:, None]))
    assert np.isfinite(h).all()
    weights = package_weights(cell, "xlstm") | {"weight_ih": np.asarray(cell.weight_ih)}
    module.load_state_dict({k: torch.tensor(v) for k, v in weights.items()})
    theirs = module.states(torch.tensor(x), torch.tensor(ran))[0, 1].detach().numpy()
    np.testing.assert_allclose(h[0, 0], theirs[0], atol=1e-9)
    assert np.isnan(theirs[1]).all(), "0 / 0, as m = max(i, log f + 0) is far above i"


def test_recurrentgemma_leaves_out_the_factor_of_the_first_step():
    module = griffin.RGLRU(H, HEADS)
    x = torch.randn(1, 1, H)
    first, later = (module(x, torch.tensor([[k]]))[0] for k in (0, 1))
    assert (first - later).abs().max() > 1e-3


def in_order(value, order):
    """Rows of gates, put into the order of ONNX, as (1 direction, G*H, ...)."""
    parts = np.split(np.asarray(value), len(order))
    return np.concatenate([parts[k] for k in order])[None]


ONNX = {
    # ours, operator, its gates in our numbers, its attributes
    "LSTM": (LSTMCell, "LSTM", (0, 3, 1, 2), {}),
    "peephole LSTM": (cells.PeepholeLSTMCell, "LSTM", (0, 3, 1, 2), {}),
    "GRU": (GRUCell, "GRU", (1, 0, 2), {"linear_before_reset": 1}),
    "GRU that resets before the product": (OriginalGRUCell, "GRU", (1, 0, 2), {}),
}


@pytest.mark.parametrize("name", ONNX)
def test_onnx_has_its_own_order_of_gates(name, close):
    """The gates of an LSTM are i o f c, those of a GRU z r h."""
    kind, operator, order, attributes = ONNX[name]
    cell = random_cell(Oracle(lambda: kind(I, H, rngs=rngs()), None))
    x = np.random.default_rng(0).normal(size=(6, 3, I))
    weights = {"W": cell.weight_ih, "R": cell.weight_hh}
    feeds = {"X": x} | {key: in_order(value, order) for key, value in weights.items()}
    biases = [in_order(value, order) for value in (cell.bias_ih, cell.bias_hh)]
    feeds["B"] = np.concatenate(biases, 1)
    inputs = ["X", "W", "R", "B"]
    if kind is cells.PeepholeLSTMCell:
        feeds["P"] = in_order(cell.weight_ph, (0, 2, 1))  # i o f
        inputs += ["", "", "", "P"]
    node = helper.make_node(operator, inputs, ["Y"], hidden_size=H, **attributes)
    double = onnx.TensorProto.DOUBLE
    graph = helper.make_graph(
        [node],
        "step",
        [helper.make_tensor_value_info(k, double, v.shape) for k, v in feeds.items()],
        [helper.make_tensor_value_info("Y", double, None)],
    )
    (y,) = ReferenceEvaluator(helper.make_model(graph)).run(None, feeds)
    close(Recurrent(cell)(x)[0], y[:, 0], 1e-9)
