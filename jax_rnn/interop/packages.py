"""Weights of cells of the literature, from and to the packages of others.

| cell | package: module | what differs |
| --- | --- | --- |
| ``UGRNNCell``, ``LiGRUCell``, ``MGUCell``, ``STARCell`` | torchrecurrent: same names | nothing |
| ``PeepholeLSTMCell`` | torchrecurrent: ``PeepholeLSTMCell`` | nothing |
| ``IndRNNCell`` | torchrecurrent: ``IndRNNCell(nonlinearity="relu")`` | hidden map: a vector |
| ``CoRNNCell`` | torchrecurrent: ``coRNNCell`` | two hidden maps instead of one of both states |
| ``CIFGLSTMCell`` | torch: ``LSTMCell`` | the input gate, 1 - f, has the negative weights of f |
| ``MinGRUCell`` | minGRU-pytorch: ``minGRU`` | gates in the order n z, no bias |
| ``MinLSTMCell`` | minGRU-pytorch: ``minLSTM`` | gates in the order n f i, no bias |
| ``LRUCell`` | lru-pytorch: ``LRU`` | complex weights; gamma is a parameter |
| ``S5Cell`` | s5-pytorch: ``S5SSM`` | complex weights; C is twice as large |
| ``RGLRUCell`` | recurrentgemma: ``RGLRU`` of its torch version | a block for each head |
| ``SLSTMCell`` | xlstm: ``sLSTMCell``, which has no map of the input | a block a head; one bias |
| ``ConvLSTMCell`` | keras: ``ConvLSTM2D(padding="same")``'s cell | nothing |
| ``ConvLSTMCell`` | flax: ``linen.ConvLSTMCell`` | gates in the order i g f o; f + 1 |

Weights of a package are a dict of arrays by the names of its state dict or its variables. Those of
xlstm are ``recurrent_kernel`` and ``bias``, which its backends store in different orders.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx

from jax_rnn.base.typing import Array, describe
from jax_rnn.cells.literature.cifg_lstm import CIFGLSTMCell
from jax_rnn.cells.literature.co_rnn import CoRNNCell
from jax_rnn.cells.literature.conv_lstm import ConvLSTMCell
from jax_rnn.cells.literature.ind_rnn import IndRNNCell
from jax_rnn.cells.literature.li_gru import LiGRUCell
from jax_rnn.cells.literature.lru import LRUCell
from jax_rnn.cells.literature.mgu import MGUCell
from jax_rnn.cells.literature.min_gru import MinGRUCell
from jax_rnn.cells.literature.min_lstm import MinLSTMCell
from jax_rnn.cells.literature.peephole_lstm import PeepholeLSTMCell
from jax_rnn.cells.literature.rg_lru import RGLRUCell
from jax_rnn.cells.literature.s5 import S5Cell
from jax_rnn.cells.literature.slstm import SLSTMCell
from jax_rnn.cells.literature.star import STARCell
from jax_rnn.cells.literature.ugrnn import UGRNNCell
from jax_rnn.interop import layouts
from jax_rnn.interop.layouts import Layout, Weights

__all__ = ["load_package_weights", "package_weights"]

LAYOUTS: dict[tuple[type, str], Layout] = {
    **{
        (kind, "torchrecurrent"): Layout(layouts.same, layouts.same)
        for kind in (UGRNNCell, LiGRUCell, MGUCell, STARCell, PeepholeLSTMCell)
    },
    (IndRNNCell, "torchrecurrent"): layouts.ind_rnn(),
    (CoRNNCell, "torchrecurrent"): layouts.co_rnn(),
    (CIFGLSTMCell, "torch"): layouts.cifg(),
    (MinGRUCell, "minGRU-pytorch"): layouts.minimal("to_hidden_and_gate.weight", (1, 0)),
    (MinLSTMCell, "minGRU-pytorch"): layouts.minimal("to_hidden_and_f_i_gate.weight", (2, 0, 1)),
    (LRUCell, "lru-pytorch"): layouts.lru(),
    (S5Cell, "s5-pytorch"): layouts.s5(),
    (RGLRUCell, "recurrentgemma"): layouts.rg_lru(),
    (SLSTMCell, "xlstm"): layouts.slstm(),
    (ConvLSTMCell, "keras"): layouts.renamed(kernel_ih="kernel", kernel_hh="recurrent_kernel"),
    (ConvLSTMCell, "flax"): layouts.linen_conv(),
}


def package_weights(cell: nnx.Module, package: str) -> dict[str, np.ndarray]:
    """The weights of a cell of the literature, as a package calls and arranges them.

    Args:
        cell: one of the table above.
        package: ``"torchrecurrent"``, ``"torch"``, ``"minGRU-pytorch"``, ``"lru-pytorch"``,
            ``"s5-pytorch"``, ``"recurrentgemma"``, ``"xlstm"``, ``"keras"`` or ``"flax"``.

    Returns:
        Arrays by name, for e.g. ``load_state_dict`` of the package's module.

    Raises:
        ValueError: a cell and a package that are not in the table; a bias that the package's module
            has no place for.
    """
    own = weights_of(cell)
    return {k: np.asarray(v) for k, v in layout(cell, package).to_theirs(cell, own).items()}


def load_package_weights(cell: nnx.Module, package: str, weights: Weights) -> None:
    """Load weights of a package's module into a cell of the literature, which keeps its dtype.

    Args:
        cell, package: as for ``package_weights``.
        weights: arrays or tensors by the package's names.

    Raises:
        ValueError: a cell and a package that are not in the table; missing names, or wrong shapes.
    """
    name = f"the weights of {package} for {type(cell).__name__}"
    given = {key: jnp.asarray(np.asarray(value)) for key, value in weights.items()}
    wanted = package_weights(cell, package)
    faults = [f"missing: {key}" for key in wanted if key not in given]
    faults += [
        f"wrong shape: {key}, expected {value.shape}, got {given[key].shape}"
        for key, value in wanted.items()
        if key in given and given[key].shape != value.shape
    ]
    if faults:
        raise ValueError(
            f"{name}: expected the names and shapes of package_weights, got others:\n  "
            + "\n  ".join(sorted(faults))
        )
    for key, value in layout(cell, package).to_ours(cell, given).items():
        parameter = getattr(cell, key)
        if parameter is not None:
            parameter[...] = value.astype(parameter.dtype)


def weights_of(cell: Any) -> dict[str, Array]:
    """The parameters of a cell by name."""
    return {name: v[...] for name, v in vars(cell).items() if isinstance(v, nnx.Param)}


def layout(cell: Any, package: str) -> Layout:
    for kind in type(cell).__mro__:
        if (kind, package) in LAYOUTS:
            return LAYOUTS[kind, package]
    known = ", ".join(f"{kind.__name__} and {name}" for kind, name in LAYOUTS)
    raise ValueError(
        "package: expected a cell and a package of the table in jax_rnn.interop.packages, "
        f"({known}), got {describe(cell)} and {package!r}"
    )
