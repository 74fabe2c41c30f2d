"""The LSTM cell whose hidden state is a projection."""

from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax.nn import sigmoid

from jax_rnn.base.arguments import check_count
from jax_rnn.base.initializers import Init, resolve
from jax_rnn.base.typing import Array, DTypeLike, Float, accumulator
from jax_rnn.cells.affine import affine
from jax_rnn.cells.gated import GatedCell
from jax_rnn.cells.lstm import LSTMCarry

__all__ = ["ProjectedLSTMCell"]


class ProjectedLSTMCell(GatedCell[LSTMCarry]):
    r"""LSTM with a hidden state of P < H features, ``torch.nn.LSTM(..., proj_size=P)``.

    .. math::
        i_t &= \sigma(W_{ii} x_t + b_{ii} + W_{hi} h_{t-1} + b_{hi}) \\
        f_t &= \sigma(W_{if} x_t + b_{if} + W_{hf} h_{t-1} + b_{hf}) \\
        g_t &= \tanh(W_{ig} x_t + b_{ig} + W_{hg} h_{t-1} + b_{hg}) \\
        o_t &= \sigma(W_{io} x_t + b_{io} + W_{ho} h_{t-1} + b_{ho}) \\
        c_t &= f_t c_{t-1} + i_t g_t \\
        h_t &= W_{hr} (o_t \tanh(c_t))

    Shapes: x (*batch, I), h (*batch, P), c (*batch, H), y = h_t. Parameters, gates in the order
    i f g o: ``weight_ih`` (4H, I), ``weight_hh`` (4H, P), ``bias_ih`` (4H,), ``bias_hh`` (4H,),
    ``weight_hr`` (P, H).

    Args:
        input_size: int, I, features of the input.
        hidden_size: int, H, features of the hidden state.
        proj_size: int, P, features of the output; 0 < P < H.
        bias: bool, whether both maps have a bias; True by default.
        heads: int, number of blocks of the hidden map, a divisor of H and P; 1 by default.
        init: initial distribution, ``"torch"`` (default), ``"flax"`` or an ``initializers.Scheme``.
        dtype: dtype of the parameters, inputs and outputs; None is JAX's default float.
        rngs: ``nnx.Rngs``, source of the initial values.

    Raises:
        TypeError: a size that is not an int. ValueError: a size below 1, an unknown init or dtype,
            a proj_size outside its range.

    Source: H. Sak, A. Senior and F. Beaufays, "Long short-term memory based recurrent neural
    network architectures for large vocabulary speech recognition", 2014.
    """

    gates = ("i", "f", "g", "o")

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        proj_size: int,
        bias: bool = True,
        *,
        heads: int = 1,
        init: Init = "torch",
        dtype: DTypeLike | None = None,
        rngs: nnx.Rngs,
    ):
        check_count("hidden_size", hidden_size)
        if isinstance(proj_size, bool) or not isinstance(proj_size, int):
            raise TypeError(f"proj_size: expected an int, got {proj_size!r}")
        if not 0 < proj_size < hidden_size:
            raise ValueError(
                f"proj_size: expected 0 < proj_size < hidden_size = {hidden_size}, got {proj_size}"
            )
        super().__init__(
            input_size,
            hidden_size,
            bias,
            output_size=proj_size,
            heads=heads,
            init=init,
            dtype=dtype,
            rngs=rngs,
        )
        weight_hr = resolve(init).weight_hr
        drawn = weight_hr(rngs.params(), hidden_size, proj_size, accumulator(self.dtype))
        self.weight_hr = nnx.Param(drawn.astype(self.dtype))

    def update(self, gates: Any, carry: LSTMCarry) -> tuple[LSTMCarry, Float[Array, "*batch P"]]:
        c = sigmoid(gates.f) * carry.c + sigmoid(gates.i) * jnp.tanh(gates.g)
        h = affine((sigmoid(gates.o) * jnp.tanh(c)).astype(self.dtype), self.weight_hr)
        return LSTMCarry(h, c), h
