"""The simplified state space layer, diagonal and complex."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax
from jax.nn import initializers

from jax_rnn.base.arguments import check_count, check_rngs, parameter_dtype
from jax_rnn.base.typing import Array, DTypeLike, Float, accumulator
from jax_rnn.cells.linear import LinearCell
from jax_rnn.cells.literature.shared import rows, wide

__all__ = ["S5Carry", "S5Cell"]


class S5Carry(NamedTuple):
    """The complex state of an S5 layer."""

    h: Any


class S5Cell(LinearCell[S5Carry]):
    r"""S5: a diagonal state space model in continuous time, with a learned time step per state.

    .. math::
        \bar\lambda &= \exp(\lambda \Delta), \quad
            \bar B = \lambda^{-1} (\bar\lambda - 1) B \\
        h_t &= \bar\lambda h_{t-1} + \bar B x_t \\
        y_t &= 2 Re(C h_t) + D x_t

    The states stand for conjugate pairs, so H of them are a real state of 2H features.

    Shapes: x (*batch, I), h (*batch, H) complex, y (*batch, I). Parameters: ``lambda_real`` and
    ``lambda_imag`` (H,), ``log_step`` (H,), ``b_real`` and ``b_imag`` (H, I), ``c_real`` and
    ``c_imag`` (I, H), ``d`` (I,). Initial values: the eigenvalues of HiPPO-N, B and C LeCun normal
    in its eigenvectors, log steps uniform from log 0.001 to log 0.1, D from N(0, 1).

    Args:
        input_size: int, I, features of the input and of the output.
        hidden_size: int, H, number of complex states.
        steps: pair of floats, smallest and largest initial time step; (0.001, 0.1) by default.
        dtype: dtype of the parameters, inputs and outputs; None is JAX's default float.
        rngs: ``nnx.Rngs``, source of the initial values.

    Raises:
        TypeError: a size that is not an int. ValueError: a size below 1, an unknown dtype, steps
            that are not 0 < smallest < largest.

    Source: J. Smith, A. Warrington and S. Linderman, "Simplified state space layers for sequence
    modeling", 2022.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        steps: tuple[float, float] = (0.001, 0.1),
        dtype: DTypeLike | None = None,
        rngs: nnx.Rngs,
    ):
        check_count("input_size", input_size)
        check_count("hidden_size", hidden_size)
        check_rngs(rngs)
        low, high = steps
        if not 0 < low < high:
            raise ValueError(f"steps: expected 0 < smallest < largest, got {steps}")
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, input_size
        dtype = parameter_dtype(dtype)
        real = accumulator(dtype)
        spectrum: Any = hippo_n(2 * hidden_size)
        eigenvalues, vectors = spectrum
        draw = initializers.lecun_normal(in_axis=-1, out_axis=-2)

        def normal(*shape: int) -> Array:
            return draw(rngs.params(), shape, real)

        def pair(first: Any, second: Any) -> tuple[nnx.Param, nnx.Param]:
            return nnx.Param(jnp.asarray(first, dtype)), nnx.Param(jnp.asarray(second, dtype))

        re, im = jnp.asarray(vectors.real, real), jnp.asarray(vectors.imag, real)
        b, c = normal(2 * hidden_size, input_size), normal(input_size, 2 * hidden_size)
        self.lambda_real, self.lambda_imag = pair(eigenvalues.real, eigenvalues.imag)
        self.b_real, self.b_imag = pair(re.T @ b, -im.T @ b)
        self.c_real, self.c_imag = pair(c @ re, c @ im)
        uniform = jax.random.uniform(rngs.params(), (hidden_size,), real)
        log_step = np.log(low) + uniform * (np.log(high) - np.log(low))
        self.log_step = nnx.Param(log_step.astype(dtype))
        self.d = nnx.Param(jax.random.normal(rngs.params(), (input_size,), real).astype(dtype))

    def coefficients(self, x: Float[Array, "*batch I"]) -> tuple[S5Carry, S5Carry]:
        eigenvalues = lax.complex(wide(self.lambda_real), wide(self.lambda_imag))
        a = jnp.exp(eigenvalues * jnp.exp(wide(self.log_step)))
        x = x.astype(accumulator(x.dtype))
        b = lax.complex(*(jnp.matmul(x, wide(weight).T) for weight in (self.b_real, self.b_imag)))
        return S5Carry(a), S5Carry(rows((a - 1) / eigenvalues, b) * b)

    def output(self, carry: S5Carry, x: Float[Array, "*batch I"]) -> Float[Array, "*batch I"]:
        y = jnp.matmul(carry.h.real, wide(self.c_real).T)
        y = y - jnp.matmul(carry.h.imag, wide(self.c_imag).T)
        return 2 * y + rows(self.d, x) * x.astype(accumulator(x.dtype))


def hippo_n(size: int) -> tuple[Any, Any]:
    """Eigenvalues of positive imaginary part, and eigenvectors, of the normal part of HiPPO-LegS.

    They have the shapes (size / 2,) and (size, size / 2).
    """
    n = np.arange(size)
    root = np.sqrt(2 * n + 1)
    hippo = -np.tril(np.outer(root, root)) + np.diag(n)
    low_rank = np.sqrt(n + 0.5)
    normal = hippo + np.outer(low_rank, low_rank)
    imaginary, vectors = np.linalg.eigh(-1j * (normal - np.diag(np.diag(normal))))
    first = size // 2
    return normal[0, 0] + 1j * imaginary[first:], vectors[:, first:]
