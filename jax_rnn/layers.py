"""RNN, LSTM and GRU with torch.nn's constructors."""

import warnings
from collections.abc import Callable
from functools import partial
from typing import Literal

from flax import nnx

from jax_rnn.arguments import check_count, check_rate
from jax_rnn.cells.base import Cell
from jax_rnn.cells.gru import GRUCell
from jax_rnn.cells.lstm import LSTMCell
from jax_rnn.cells.original_gru import OriginalGRUCell
from jax_rnn.cells.projected_lstm import ProjectedLSTMCell
from jax_rnn.cells.rnn import RNNCell
from jax_rnn.initializers import Init
from jax_rnn.recurrent import Recurrent
from jax_rnn.scans.choice import Scan, check_scan
from jax_rnn.typing import DTypeLike

__all__ = ["GRU", "LSTM", "RNN"]


class RNN(Recurrent):
    """``torch.nn.RNN``: layers of ``RNNCell``. Call, shapes and errors: see ``Recurrent``.

    Equations, parameters and their shapes: those of ``RNNCell``, whose I is the input of a layer,
    H or 2H above the first. ``init``, ``dtype`` and ``rngs`` are those of a cell.
    As in torch, a ``proj_size`` other than 0 is a ValueError.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: Literal["tanh", "relu"] = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        proj_size: int = 0,
        init: Init = "torch",
        dtype: DTypeLike | None = None,
        unroll: int = 1,
        scan: Scan = "auto",
        checkpoint_every: int | None = None,
        rngs: nnx.Rngs,
    ):
        _refuse_projection(proj_size)
        cell = partial(
            RNNCell,
            hidden_size=hidden_size,
            bias=bias,
            nonlinearity=nonlinearity,
            init=init,
            dtype=dtype,
            rngs=rngs,
        )
        check_count("unroll", unroll)
        check_scan(scan, checkpoint_every, RNNCell)
        layers = _stack(cell, input_size, num_layers, bidirectional, dropout)
        super().__init__(
            *layers,
            batch_first=batch_first,
            dropout=dropout,
            unroll=unroll,
            scan=scan,
            checkpoint_every=checkpoint_every,
        )
        self.nonlinearity = nonlinearity
        self.bias = bias


class LSTM(Recurrent):
    """``torch.nn.LSTM``: layers of ``LSTMCell``, or of ``ProjectedLSTMCell`` with ``proj_size``.

    Call, shapes and errors: see ``Recurrent``; h has ``proj_size`` features where that is given, c
    always has ``hidden_size``. Equations, parameters and their shapes: those of the cell, whose I
    is the input of a layer, all that the one below returns. ``init``, ``dtype`` and ``rngs`` are
    those of a cell.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        *,
        init: Init = "torch",
        dtype: DTypeLike | None = None,
        unroll: int = 1,
        scan: Scan = "auto",
        checkpoint_every: int | None = None,
        rngs: nnx.Rngs,
    ):
        kind = partial(ProjectedLSTMCell, proj_size=proj_size)
        if type(proj_size) is int and proj_size == 0:
            kind = LSTMCell
        cell = partial(kind, hidden_size=hidden_size, bias=bias, init=init, dtype=dtype, rngs=rngs)
        check_count("unroll", unroll)
        check_scan(scan, checkpoint_every, LSTMCell)
        layers = _stack(cell, input_size, num_layers, bidirectional, dropout)
        super().__init__(
            *layers,
            batch_first=batch_first,
            dropout=dropout,
            unroll=unroll,
            scan=scan,
            checkpoint_every=checkpoint_every,
        )
        self.bias = bias
        self.proj_size = proj_size


class GRU(Recurrent):
    """``torch.nn.GRU``: layers of ``GRUCell``. Call, shapes and errors: see ``Recurrent``.

    Equations, parameters and their shapes: those of ``GRUCell``, whose I is the input of a layer,
    H or 2H above the first. ``init``, ``dtype`` and ``rngs`` are those of a cell.
    ``reset_after=False`` takes ``OriginalGRUCell``, which torch does not have. As in torch, a
    ``proj_size`` other than 0 is a ValueError.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        reset_after: bool = True,
        proj_size: int = 0,
        init: Init = "torch",
        dtype: DTypeLike | None = None,
        unroll: int = 1,
        scan: Scan = "auto",
        checkpoint_every: int | None = None,
        rngs: nnx.Rngs,
    ):
        _refuse_projection(proj_size)
        cell = partial(
            GRUCell if reset_after else OriginalGRUCell,
            hidden_size=hidden_size,
            bias=bias,
            init=init,
            dtype=dtype,
            rngs=rngs,
        )
        check_count("unroll", unroll)
        check_scan(scan, checkpoint_every, GRUCell if reset_after else OriginalGRUCell)
        layers = _stack(cell, input_size, num_layers, bidirectional, dropout)
        super().__init__(
            *layers,
            batch_first=batch_first,
            dropout=dropout,
            unroll=unroll,
            scan=scan,
            checkpoint_every=checkpoint_every,
        )
        self.bias = bias
        self.reset_after = reset_after


def _refuse_projection(proj_size: int) -> None:
    if proj_size != 0:
        raise ValueError(
            f"proj_size: expected 0, got {proj_size!r}; only LSTM has a projected hidden state"
        )


def _stack(
    build: Callable[..., Cell],
    input_size: int,
    num_layers: int,
    bidirectional: bool,
    dropout: float,
) -> list[Cell | tuple[Cell, Cell]]:
    """Layers of equal cells: the first reads the input, each further one the layer below."""
    check_count("num_layers", num_layers)
    check_rate("dropout", dropout)
    if num_layers == 1 and dropout:
        warnings.warn(
            f"dropout={dropout} acts between layers, and one layer has no such place: nothing is "
            "dropped; expected num_layers above 1",
            stacklevel=3,
        )
    layers: list[Cell | tuple[Cell, Cell]] = []
    for _ in range(num_layers):
        forward = build(input_size=input_size)
        layers.append((forward, build(input_size=input_size)) if bidirectional else forward)
        input_size = (2 if bidirectional else 1) * forward.output_size
    return layers
