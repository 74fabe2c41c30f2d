"""Elman's recurrent cell."""

from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import nnx

from jax_rnn.base.initializers import Init
from jax_rnn.base.typing import Array, DTypeLike, Float
from jax_rnn.cells.base import HiddenCarry
from jax_rnn.cells.gated import GatedCell

__all__ = ["RNNCell"]

_NONLINEARITIES = {"tanh": jnp.tanh, "relu": jax.nn.relu}


class RNNCell(GatedCell[HiddenCarry]):
    r"""One tanh or relu layer whose inputs include its previous output.

    .. math::
        h_t = \tanh(W_{ih} x_t + b_{ih} + W_{hh} h_{t-1} + b_{hh})

    Shapes: x (*batch, I), h (*batch, H), y = h_t. Parameters: ``weight_ih`` (H, I), ``weight_hh``
    (H, H), ``bias_ih`` (H,), ``bias_hh`` (H,).

    Args:
        input_size: int, I, features of the input.
        hidden_size: int, H, features of the hidden state.
        bias: bool, whether both maps have a bias; True by default.
        nonlinearity: ``"tanh"`` (default) or ``"relu"``.
        heads: int, number of blocks of the hidden map; 1 (default) is dense, H is diagonal.
        init: initial distribution, ``"torch"`` (default), ``"flax"`` or an ``initializers.Scheme``.
        dtype: dtype of the parameters, inputs and outputs; None is JAX's default float.
        rngs: ``nnx.Rngs``, source of the initial values.

    Raises:
        TypeError: a size that is not an int. ValueError: a size below 1, an unknown init, dtype
            or nonlinearity.

    Source: J. L. Elman, "Finding structure in time", 1990; slide "RNN in PyTorch".
    """

    gates = ("hidden",)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: Literal["tanh", "relu"] = "tanh",
        *,
        heads: int = 1,
        init: Init = "torch",
        dtype: DTypeLike | None = None,
        rngs: nnx.Rngs,
    ):
        if not isinstance(nonlinearity, str) or nonlinearity not in _NONLINEARITIES:
            raise ValueError(
                f"nonlinearity: expected one of {sorted(_NONLINEARITIES)}, got {nonlinearity!r}"
            )
        super().__init__(
            input_size, hidden_size, bias, heads=heads, init=init, dtype=dtype, rngs=rngs
        )
        self.nonlinearity = nonlinearity

    def update(
        self, gates: Any, carry: HiddenCarry
    ) -> tuple[HiddenCarry, Float[Array, "*batch H"]]:
        h = _NONLINEARITIES[self.nonlinearity](gates.hidden)
        return HiddenCarry(h), h
