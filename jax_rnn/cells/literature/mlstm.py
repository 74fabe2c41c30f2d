"""The LSTM with a matrix memory of xLSTM."""

from functools import partial
from typing import Any, NamedTuple

import jax.numpy as jnp
from flax import nnx
from jax.nn import initializers, log_sigmoid, sigmoid

from jax_rnn.base.arguments import check_count, check_rngs, parameter_dtype
from jax_rnn.base.typing import Array, DTypeLike, Float, accumulator
from jax_rnn.cells.affine import affine
from jax_rnn.cells.base import Cell
from jax_rnn.cells.literature.shared import parameter

__all__ = ["MLSTMCarry", "MLSTMCell"]

EPSILON = 1e-6


class MLSTMCarry(NamedTuple):
    """The state of an mLSTM with heads of D = H / heads features."""

    c: Float[Array, "*batch heads D D"]
    """Matrix memory, in units of exp(m); the first axis is that of the keys."""
    n: Float[Array, "*batch heads D"]
    """Normaliser, in units of exp(m)."""
    m: Float[Array, "*batch heads"]
    """Stabiliser, the logarithm of the largest weight so far."""


class MLSTMCell(Cell[MLSTMCarry]):
    r"""mLSTM: a memory of keys and values, with exponential gates, one of each for a head.

    .. math::
        q_t &= W_q x_t + b_q, \quad k_t = (W_k x_t + b_k) / \sqrt{D}, \quad v_t = W_v x_t + b_v \\
        m_t &= \max(\log \sigma(\tilde f) + m_{t-1}, \tilde i) \\
        i_t &= \exp(\tilde i - m_t), \quad
            f_t = \exp(\log \sigma(\tilde f) + m_{t-1} - m_t) \\
        C_t &= f_t C_{t-1} + i_t k_t v_t^T \\
        n_t &= f_t n_{t-1} + i_t k_t \\
        y_t &= \sigma(\tilde o) \frac{C_t^T q_t}{\max(|n_t^T q_t|, \exp(-m_t)) + 10^{-6}}

    where the gates i, f (one for a head) and o (one for a feature) are affine maps of x_t.

    Shapes: x (*batch, I), c (*batch, heads, D, D), n (*batch, heads, D), m (*batch, heads),
    y (*batch, H). Parameters: ``weight_ih`` (4H, I) and ``bias_ih`` (4H,), the maps q k v o, and
    ``weight_gates`` (2 heads, I) and ``bias_gates`` (2 heads,), the gates i and f. Initial values:
    weights of q k v o uniform within 1 / sqrt(I), the others 0, biases 0 except for that of f,
    evenly spaced from 3 to 6.

    Args:
        input_size: int, I, features of the input.
        hidden_size: int, H, features of the output.
        heads: int, number of memories; 1 by default.
        dtype: dtype of the parameters, inputs and outputs; None is JAX's default float.
        rngs: ``nnx.Rngs``, source of the initial values.

    Raises:
        TypeError: a size that is not an int. ValueError: a size below 1, heads that do not divide
            it, an unknown dtype.

    Source: M. Beck et al., "xLSTM: extended long short-term memory", 2024, section 2.3; the small
    number in the denominator and initial values as in the authors' code.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        heads: int = 1,
        dtype: DTypeLike | None = None,
        rngs: nnx.Rngs,
    ):
        check_count("input_size", input_size)
        check_count("hidden_size", hidden_size)
        check_count("heads", heads)
        check_rngs(rngs)
        if hidden_size % heads:
            raise ValueError(f"heads: expected a divisor of hidden_size {hidden_size}, got {heads}")
        self.input_size, self.hidden_size, self.heads = input_size, hidden_size, heads
        dtype, zeros = parameter_dtype(dtype), initializers.zeros
        within = initializers.variance_scaling(1 / 3, "fan_in", "uniform", -1, -2)
        self.weight_ih = parameter(within, rngs, dtype, 4 * hidden_size, input_size)
        self.bias_ih = parameter(zeros, rngs, dtype, 4 * hidden_size)
        self.weight_gates = parameter(zeros, rngs, dtype, 2 * heads, input_size)
        forget = jnp.linspace(3, 6, heads)
        self.bias_gates = nnx.Param(jnp.concatenate([jnp.zeros(heads), forget]).astype(dtype))

    def initialize_carry(
        self, input_shape: Any, rngs: Any = None, carry_init: Any = None
    ) -> MLSTMCarry:
        """Zeros."""
        batch, dtype = (*input_shape[:-1], self.heads), accumulator(self.dtype)
        size = self.hidden_size // self.heads
        shapes = (*batch, size, size), (*batch, size), batch
        return MLSTMCarry(*(jnp.zeros(shape, dtype) for shape in shapes))

    def project(self, x: Float[Array, "*batch I"]) -> tuple[Array, ...]:
        """q, k, v, by head, the output gate, and the gates i and f of every head."""
        *maps, o = jnp.split(affine(x, self.weight_ih, self.bias_ih), 4, axis=-1)
        size = self.hidden_size // self.heads
        q, k, v = (y.reshape(*y.shape[:-1], self.heads, size) for y in maps)
        i, f = jnp.split(affine(x, self.weight_gates, self.bias_gates), 2, axis=-1)
        return q, k * size**-0.5, v, o, i, f

    def step(
        self, carry: MLSTMCarry, x: tuple[Array, ...]
    ) -> tuple[MLSTMCarry, Float[Array, "*batch H"]]:
        q, k, v, o, i, f = x
        kept = log_sigmoid(f) + carry.m
        m = jnp.maximum(kept, i)
        i, f = jnp.exp(i - m)[..., None], jnp.exp(kept - m)[..., None]
        # Products of matrices, also the outer one: their gradients are fast on a CPU.
        c = f[..., None] * carry.c + _matmul((i * k)[..., None], v[..., None, :])
        n = f * carry.n + i * k
        scale = jnp.maximum(jnp.abs((n * q).sum(-1)), jnp.exp(-m)) + EPSILON
        y = _matmul(q[..., None, :], c)[..., 0, :] / scale[..., None]
        y = sigmoid(o) * y.reshape(o.shape)
        return MLSTMCarry(c, n, m), y.astype(self.dtype)


_matmul = partial(jnp.matmul, precision="highest")
