"""The LSTM with exponential gates of xLSTM."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from flax import nnx
from jax.nn import log_sigmoid, sigmoid

from jax_rnn.base.arguments import check_rate
from jax_rnn.base.initializers import TORCH, Init, published
from jax_rnn.base.typing import Array, DTypeLike, Float
from jax_rnn.cells.gated import GatedCell

__all__ = ["SLSTMCarry", "SLSTMCell"]


class SLSTMCarry(NamedTuple):
    """The state of an sLSTM."""

    h: Float[Array, "*batch H"]
    """Hidden state."""
    c: Float[Array, "*batch H"]
    """Cell state, in units of exp(m)."""
    n: Float[Array, "*batch H"]
    """Normaliser, in units of exp(m); 0 before the first step."""
    m: Float[Array, "*batch H"]
    """Stabiliser, the logarithm of the largest weight so far."""


def _zeros(key: Any, gates: int, hidden_size: int, fan_in: int, dtype: Any) -> Array:
    return jnp.zeros((gates * hidden_size, fan_in), dtype)


class SLSTMCell(GatedCell[SLSTMCarry]):
    r"""sLSTM: exponential input gate, normalised state, and a hidden map for each head.

    .. math::
        (\tilde i, \tilde f, \tilde z, \tilde o) &= W_{ih} x_t + b_{ih} + W_{hh} h_{t-1} + b_{hh} \\
        m_t &= \max(\log \sigma(\tilde f) + m_{t-1}, \tilde i) \\
        i_t &= \exp(\tilde i - m_t), \quad
            f_t = \exp(\log \sigma(\tilde f) + m_{t-1} - m_t) \\
        c_t &= f_t c_{t-1} + i_t \tanh(\tilde z) \\
        n_t &= f_t n_{t-1} + i_t \\
        h_t &= \sigma(\tilde o) c_t / n_t

    In the first step, and after a reset, n is 0 and m_t is the input gate alone, for each row and
    feature on its own. The authors' code decides this for the whole batch at once.

    Shapes: x (*batch, I), h, c, n and m (*batch, H), y = h_t. Parameters, gates in the order
    i f z o: ``weight_ih`` (4H, I), ``weight_hh`` (4H, H / heads), ``bias_ih`` (4H,), ``bias_hh``
    (4H,). Initial values: input weights as in ``torch.nn``, hidden weights 0, biases 0 except for
    b_if of feature j of d in a head, 5 - 12 (j / (d - 1))^(0.3 + 1.3 depth).

    Args:
        input_size: int, I, features of the input.
        hidden_size: int, H, features of the hidden state.
        bias: bool, whether both maps have a bias; True by default.
        heads: int, number of blocks of the hidden map; 4 in the paper, 1 by default.
        depth: float, position of the layer in a stack, from 0 (default), the first, to 1, the last.
        init: initial distribution, ``"torch"``, ``"flax"`` or an ``initializers.Scheme``; None
            (default) is the one above.
        dtype: dtype of the parameters, inputs and outputs; None is JAX's default float.
        rngs: ``nnx.Rngs``, source of the initial values.

    Raises:
        TypeError: a size that is not an int. ValueError: a size below 1, heads that do not divide
            it, a depth outside 0 to 1, an unknown init or dtype.

    Source: M. Beck et al., "xLSTM: extended long short-term memory", 2024, section 2.2; initial
    values as in the authors' code.
    """

    gates = ("i", "f", "z", "o")
    default_init = published(TORCH, 0.0, 0.0, 0.0, 0.0, weight_hh=_zeros)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        heads: int = 1,
        depth: float = 0.0,
        init: Init | None = None,
        dtype: DTypeLike | None = None,
        rngs: nnx.Rngs,
    ):
        check_rate("depth", depth)
        super().__init__(
            input_size, hidden_size, bias, heads=heads, init=init, dtype=dtype, rngs=rngs
        )
        if bias and init is None:
            size = hidden_size // heads
            feature = jnp.tile(jnp.arange(size), heads) / max(size - 1, 1)
            forget = 5 - 12 * feature ** (0.3 + 1.3 * depth)
            bias_ih = self.bias_ih[...].at[hidden_size : 2 * hidden_size].set(forget)  # pyright: ignore[reportOptionalSubscript]
            self.bias_ih = nnx.Param(bias_ih.astype(self.dtype))

    def update(self, gates: Any, carry: SLSTMCarry) -> tuple[SLSTMCarry, Float[Array, "*batch H"]]:
        kept = log_sigmoid(gates.f) + carry.m
        m = jnp.where(carry.n == 0, gates.i, jnp.maximum(kept, gates.i))
        i, f = jnp.exp(gates.i - m), jnp.exp(jnp.minimum(kept - m, 0))
        c = f * carry.c + i * jnp.tanh(gates.z)
        n = f * carry.n + i
        h = sigmoid(gates.o) * c / n
        return SLSTMCarry(h, c, n, m), h
