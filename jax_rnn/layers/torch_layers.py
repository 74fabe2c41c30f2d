"""RNN, LSTM and GRU with torch.nn's constructors."""

import warnings
from collections.abc import Callable
from functools import partial
from inspect import cleandoc
from typing import Literal, TypeVar

from flax import nnx

from jax_rnn.base.arguments import check_count, check_rate
from jax_rnn.base.initializers import Init
from jax_rnn.base.typing import DTypeLike
from jax_rnn.cells.base import Cell
from jax_rnn.cells.gru import GRUCell
from jax_rnn.cells.literature.original_gru import OriginalGRUCell
from jax_rnn.cells.literature.projected_lstm import ProjectedLSTMCell
from jax_rnn.cells.lstm import LSTMCell
from jax_rnn.cells.rnn import RNNCell
from jax_rnn.layers.recurrent import Recurrent
from jax_rnn.scans.base import Scan
from jax_rnn.scans.choice import check_scan

__all__ = ["GRU", "LSTM", "RNN"]


SHARED = """
Call: ``output, h_n = layer(input, hx=None, *, lengths=None, resets=None, rngs=None)``.
More on shapes and errors: see ``Recurrent``.

    input: (T, B, I), (B, T, I) with ``batch_first``, or (T, I) without a batch.
    hx: the state before the first step, zeros by default: an array (L, B, H), L being layers times
        directions; of an LSTM a tuple (h_0, c_0) of arrays (L, B, P or H) and (L, B, H).
    lengths: (B,) integers, number of valid steps of each sequence; None (default) is all.
    resets: (T, B) booleans, steps before which the state goes back to the initial one.
    rngs: ``nnx.Rngs(dropout=seed)`` or a key; needed while training with dropout.
    context: for cells that take it, see ``Recurrent``; the cells of these layers do not.
    return_states: bool, whether to return the states after every step too.
    return_extras: bool, whether to return what the scans return beside outputs and states too.
    output: (T, B, O), in the layout of the input; O is H (P of a projected LSTM), twice that in two
        directions.
    h_n: the state after the last step, in the layout of ``hx``.

Args of all layers:
    input_size: int, I, features of the input.
    hidden_size: int, H, features of the hidden state of each direction.
    num_layers: int, number of stacked layers; 1 by default.
    bias: bool, whether cells have biases; True by default.
    batch_first: bool, whether batched inputs and outputs are (B, T, features); False by default.
    dropout: float from 0 to 1, rate between layers while training; 0 by default.
    bidirectional: bool, whether every layer has a second, backward direction; False by default.
    init: initial distribution, ``"torch"`` (default), ``"flax"`` or an ``initializers.Scheme``.
    dtype: dtype of the parameters, inputs and outputs; None is JAX's default float.
    heads: int, number of blocks of the hidden maps, see ``AffineCell``; 1 (default) is dense, as in
        torch, H is diagonal.
    scan: how cells run over time, a ``jax_rnn.scans.Scan`` or a name; ``"auto"`` by default, see
        ``Recurrent``.
    rngs: ``nnx.Rngs``, source of the initial values.
"""

LayerT = TypeVar("LayerT", bound=type[Recurrent])


def documented(layer: LayerT) -> LayerT:
    """Add what all layers share to the documentation of one."""
    layer.__doc__ = f"{cleandoc(layer.__doc__ or '')}\n{SHARED}"
    return layer


@documented
class RNN(Recurrent):
    """``torch.nn.RNN``: layers of ``RNNCell``.

    Equations, parameters and their shapes: those of ``RNNCell``, whose I is the input of a layer,
    H or 2H above the first.

    Args:
        nonlinearity: ``"tanh"`` (default) or ``"relu"``.
        proj_size: int, only 0, as in torch; the projection is that of LSTM.
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
        heads: int = 1,
        scan: Scan | str = "auto",
        rngs: nnx.Rngs,
    ):
        _refuse_projection(proj_size)
        cell = partial(
            RNNCell,
            hidden_size=hidden_size,
            bias=bias,
            nonlinearity=nonlinearity,
            heads=heads,
            init=init,
            dtype=dtype,
            rngs=rngs,
        )
        layers = _stack(cell, scan, input_size, num_layers, bidirectional, dropout)
        super().__init__(*layers, batch_first=batch_first, dropout=dropout, scan=scan)
        self.nonlinearity = nonlinearity
        self.bias = bias


@documented
class LSTM(Recurrent):
    """``torch.nn.LSTM``: layers of ``LSTMCell``, or of ``ProjectedLSTMCell`` with ``proj_size``.

    Equations, parameters and their shapes: those of the cell, whose I is the input of a layer, all
    that the one below returns.

    Args:
        proj_size: int, P, features of the projected h, 0 < P < H; 0 (default) is H.
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
        heads: int = 1,
        scan: Scan | str = "auto",
        rngs: nnx.Rngs,
    ):
        kind = partial(ProjectedLSTMCell, proj_size=proj_size)
        if type(proj_size) is int and proj_size == 0:
            kind = LSTMCell
        cell = partial(
            kind,
            hidden_size=hidden_size,
            bias=bias,
            heads=heads,
            init=init,
            dtype=dtype,
            rngs=rngs,
        )
        layers = _stack(cell, scan, input_size, num_layers, bidirectional, dropout)
        super().__init__(*layers, batch_first=batch_first, dropout=dropout, scan=scan)
        self.bias = bias
        self.proj_size = proj_size


@documented
class GRU(Recurrent):
    """``torch.nn.GRU``: layers of ``GRUCell``, or of ``OriginalGRUCell`` if not ``reset_after``.

    Equations, parameters and their shapes: those of ``GRUCell``, whose I is the input of a layer,
    H or 2H above the first.

    Args:
        reset_after: bool, whether the reset gate acts after the product, as in torch; True by
            default.
        proj_size: int, only 0, as in torch; the projection is that of LSTM.
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
        heads: int = 1,
        scan: Scan | str = "auto",
        rngs: nnx.Rngs,
    ):
        _refuse_projection(proj_size)
        cell = partial(
            GRUCell if reset_after else OriginalGRUCell,
            hidden_size=hidden_size,
            bias=bias,
            heads=heads,
            init=init,
            dtype=dtype,
            rngs=rngs,
        )
        layers = _stack(cell, scan, input_size, num_layers, bidirectional, dropout)
        super().__init__(*layers, batch_first=batch_first, dropout=dropout, scan=scan)
        self.bias = bias
        self.reset_after = reset_after


def _refuse_projection(proj_size: int) -> None:
    if proj_size != 0:
        raise ValueError(
            f"proj_size: expected 0, got {proj_size!r}; only LSTM has a projected hidden state"
        )


def _stack(
    build: Callable[..., Cell],
    scan: Scan | str,
    input_size: int,
    num_layers: int,
    bidirectional: bool,
    dropout: float,
) -> list[Cell | tuple[Cell, Cell]]:
    """Layers of equal cells; the first reads the input, each other one the layer below."""
    check_scan(scan, ())
    check_count("num_layers", num_layers)
    if scan != "auto":  # before parameters are drawn
        check_scan(scan, [nnx.eval_shape(lambda: build(input_size=input_size, rngs=nnx.Rngs(0)))])
    check_rate("dropout", dropout)
    if num_layers == 1 and dropout:
        warnings.warn(
            f"dropout={dropout} has no effect with one layer, since it is applied between layers; "
            "use num_layers above 1",
            stacklevel=3,
        )
    layers: list[Cell | tuple[Cell, Cell]] = []
    for _ in range(num_layers):
        forward = build(input_size=input_size)
        layers.append((forward, build(input_size=input_size)) if bidirectional else forward)
        input_size = (2 if bidirectional else 1) * forward.output_size
    return layers
