"""Every cell of the literature against an implementation by somebody else, to 1e-9 in float64."""

import flax.linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchrecurrent  # noqa: E402
from LRU_pytorch import LRU  # noqa: E402
from minGRU_pytorch.minGRU import minGRU  # noqa: E402
from minGRU_pytorch.minLSTM import minLSTM  # noqa: E402
from s5.s5_model import S5SSM  # noqa: E402
from torch.func import functional_call  # noqa: E402

from jax_rnn import cells  # noqa: E402
from jax_rnn.interop import load_package_weights, package_weights  # noqa: E402
from reference_torch.cells.layer_norm_lstm import LayerNormLSTMCell  # noqa: E402
from reference_torch.cells.lin_oss import LinOSSCell  # noqa: E402
from reference_torch.cells.mlstm import MLSTMCell  # noqa: E402
from reference_torch.cells.rg_lru import RGLRUCell  # noqa: E402
from reference_torch.cells.selective_ssm import SelectiveSSMCell  # noqa: E402
from reference_torch.cells.slstm import SLSTMCell  # noqa: E402
from tests.kit import long, rngs  # noqa: E402
from tests.oracles.kit import (  # noqa: E402
    Oracle,
    arrays,
    of_state,
    ours,
    random_cell,
    theirs,
)

I, H = 5, 4  # noqa: E741


@pytest.fixture(autouse=True)
def double(x64):
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def recurrent(name, other=None, sequence=None, **options):
    """A cell of torchrecurrent, of one state or of two."""
    kind, module = getattr(cells, name), getattr(torchrecurrent, other or name)
    sequence = sequence or of_state(lambda cell, x, state: (cell(x, *state),))
    return Oracle(
        lambda: kind(I, H, rngs=rngs()),
        lambda: module(I, H, **options),
        "torchrecurrent",
        (),
        sequence,
    )


def lru(module, x, state):
    """The package returns no state: read it as the output of C = 1 and of C = -i."""
    y = module(x, *state)
    eye, none = torch.eye(H, dtype=torch.complex128), torch.zeros(H, I)
    parts = [
        functional_call(module, {"C": c, "D": none}, (x, *state))[-1] for c in (eye, -1j * eye)
    ]
    return y, (torch.complex(*parts),)


class Wide(LRU):
    """The package's layer has an output of a set width; its state has another."""

    def forward(self, input, state=None):
        self.out_features = self.C.shape[0]
        return super().forward(input, state)


def s5():
    """The package's layer, which is made in complex64, in double precision."""
    eye = torch.eye(H, dtype=torch.complex64)
    module = S5SSM(eye[0], eye, eye, I, H, 0.001, 0.1, bcInit="dense")
    for name, value in module.named_parameters():
        wide = value.to(torch.complex128) if value.is_complex() else value.double()
        setattr(module, name, torch.nn.Parameter(wide.detach()))
    module.get_BC_tilde = lambda: (torch.view_as_complex(module.B), module.C)
    return module


def s5_run(module, x, state):
    y, last = module(x, state=state[0], return_state=True)
    return y, (last,)


def minimal(module, x, state):
    """A length of 1 is the recurrence itself; several steps are computed in logarithms."""
    y, last = module(x[None], state[0][None, None], return_next_prev_hidden=True)
    return y[0], (last[0, 0],)


def minimal_steps(module, x, state):
    outputs = []
    for x_t in x:
        y, state = minimal(module, x_t[None], state)
        outputs.append(y[0])
    return torch.stack(outputs), state


def lin_oss(module, x, state):
    parts = tuple(state[0].unbind(-1))
    outputs = []
    for x_t in x:
        y, parts = module(x_t, parts)
        outputs.append(y)
    return torch.stack(outputs), (torch.stack(parts, -1),)


def linen_conv(weights, x, state):
    module = flax.linen.ConvLSTMCell(weights["ih.bias"].size // 4, (3, 3))
    params = {"ih": {}, "hh": {}}
    for name, value in weights.items():
        part, leaf = name.split(".")
        params[part][leaf] = value
    outputs = []
    for x_t in x:
        (c, h), y = module.apply({"params": params}, state[::-1], x_t)
        state = (h, c)
        outputs.append(y)
    return jnp.stack(outputs), state


def positive(kind):
    return lambda: kind(I, I, bias=False, positive=True, rngs=rngs())


ORACLES = {
    "CIFG LSTM": Oracle(
        lambda: cells.CIFGLSTMCell(I, H, rngs=rngs()),
        lambda: torch.nn.LSTMCell(I, H),
        "torch",
        (),
        of_state(lambda module, x, state: module(x, state)),
    ),
    "peephole LSTM": recurrent(
        "PeepholeLSTMCell", sequence=of_state(lambda module, x, state: module(x, state))
    ),
    "layer-norm LSTM": Oracle(
        lambda: cells.LayerNormLSTMCell(I, H, rngs=rngs()), lambda: LayerNormLSTMCell(I, H)
    ),
    "UGRNN": recurrent("UGRNNCell"),
    "MGU": recurrent("MGUCell"),
    "LiGRU": recurrent("LiGRUCell"),
    "IndRNN": recurrent("IndRNNCell", nonlinearity="relu"),
    "STAR": recurrent("STARCell"),
    "coRNN": recurrent(
        "CoRNNCell",
        "coRNNCell",
        of_state(lambda module, x, state: module(x, state)),
        dt=0.042,
        gamma=2.7,
        epsilon=4.7,
    ),
    "sLSTM": Oracle(
        lambda: cells.SLSTMCell(I, H, heads=2, rngs=rngs()), lambda: SLSTMCell(I, H, 2)
    ),
    "mLSTM": Oracle(
        lambda: cells.MLSTMCell(I, H, heads=2, rngs=rngs()), lambda: MLSTMCell(I, H, 2)
    ),
    "minGRU": Oracle(
        positive(cells.MinGRUCell), lambda: minGRU(I), "minGRU-pytorch", (), minimal_steps
    ),
    "minGRU in logarithms": Oracle(
        positive(cells.MinGRUCell), lambda: minGRU(I), "minGRU-pytorch", (), minimal
    ),
    "minLSTM": Oracle(
        positive(cells.MinLSTMCell), lambda: minLSTM(I), "minGRU-pytorch", (), minimal_steps
    ),
    "LRU": Oracle(
        lambda: cells.LRUCell(I, H, I, rngs=rngs()), lambda: Wide(I, I, H), "lru-pytorch", (), lru
    ),
    "S5": Oracle(lambda: cells.S5Cell(I, H, rngs=rngs()), s5, "s5-pytorch", (), s5_run),
    "RG-LRU": Oracle(lambda: cells.RGLRUCell(H, heads=2, rngs=rngs()), lambda: RGLRUCell(H, 2)),
    "LinOSS": Oracle(
        lambda: cells.LinOSSCell(I, H, rngs=rngs()), lambda: LinOSSCell(I, H), None, (), lin_oss
    ),
    "selective SSM": Oracle(
        lambda: cells.SelectiveSSMCell(H, state_size=3, rank=2, rngs=rngs()),
        lambda: SelectiveSSMCell(H, 3, 2),
    ),
    "ConvLSTM": Oracle(
        lambda: cells.ConvLSTMCell(2, 3, rngs=rngs()), None, "flax", (), linen_conv, (4, 3)
    ),
}
every = pytest.mark.parametrize("name", ORACLES)


@every
@pytest.mark.parametrize("resets", [True, pytest.param(False, marks=long)])
def test_outputs_states_and_gradients_agree(name, resets, close):
    oracle = ORACLES[name]
    cell = random_cell(oracle)
    given = arrays(cell, oracle, resets)
    values, gradients = ours(cell, given)
    close((values, gradients), theirs(cell, oracle, given), 1e-9)
    assert all(np.abs(leaf).max() > 1e-6 for leaf in jax.tree.leaves(gradients))


@pytest.mark.parametrize("name", [name for name, oracle in ORACLES.items() if oracle.package])
def test_weights_go_there_and_back(name, close):
    oracle = ORACLES[name]
    cell = random_cell(oracle)
    other = oracle.cell()
    load_package_weights(other, oracle.package, package_weights(cell, oracle.package))
    x = jnp.asarray(np.random.default_rng(2).normal(size=(2, *oracle.image, cell.input_size)))
    carry = cell.initialize_carry(x.shape)
    close(other(carry, x), cell(carry, x), 1e-12)
