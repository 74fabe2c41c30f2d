"""The coupled oscillatory network."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from flax import nnx

from jax_rnn.base.arguments import check_count, check_positive
from jax_rnn.base.initializers import Init
from jax_rnn.base.typing import Array, DTypeLike, Float, accumulator
from jax_rnn.cells.gated import GatedCell

__all__ = ["CoRNNCarry", "CoRNNCell"]


class CoRNNCarry(NamedTuple):
    """The positions h and the velocities z of the oscillators."""

    h: Float[Array, "*batch H"]
    z: Float[Array, "*batch H"]


class CoRNNCell(GatedCell[CoRNNCarry]):
    r"""Coupled oscillators, forced by the input and damped, in an implicit-explicit time step.

    .. math::
        z_t &= z_{t-1} + \Delta t (\tanh(W_{ih} x_t + b_{ih} + W_{hh} [h_{t-1}, z_{t-1}] + b_{hh})
            - \gamma h_{t-1} - \epsilon z_{t-1}) \\
        h_t &= h_{t-1} + \Delta t z_t

    Shapes: x (*batch, I), h and z (*batch, H), y = h_t. Parameters: ``weight_ih`` (H, I),
    ``weight_hh`` (H, 2H), the maps of h and z side by side, ``bias_ih`` (H,), ``bias_hh`` (H,).
    Initial values: as in ``torch.nn``.

    Args:
        input_size: int, I, features of the input.
        hidden_size: int, H, number of oscillators.
        bias: bool, whether both maps have a bias; True by default.
        dt: float, time step, above 0.
        gamma: float, frequency of the oscillators, above 0.
        epsilon: float, damping, above 0.
        init: initial distribution, ``"torch"``, ``"flax"`` or an ``initializers.Scheme``; None
            (default) is ``"torch"``.
        dtype: dtype of the parameters, inputs and outputs; None is JAX's default float.
        rngs: ``nnx.Rngs``, source of the initial values.

    The default dt, gamma and epsilon are those of the authors for sequential MNIST.

    Raises:
        TypeError: a size that is not an int, a constant that is not a number. ValueError: a size
            below 1, a constant of 0 or less, an unknown init or dtype.

    Source: T. K. Rusch and S. Mishra, "Coupled oscillatory recurrent neural network (coRNN)", 2021.
    """

    gates = ("force",)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        dt: float = 0.042,
        gamma: float = 2.7,
        epsilon: float = 4.7,
        init: Init | None = None,
        dtype: DTypeLike | None = None,
        rngs: nnx.Rngs,
    ):
        for name, value in (("dt", dt), ("gamma", gamma), ("epsilon", epsilon)):
            check_positive(name, value)
        check_count("hidden_size", hidden_size)
        both = 2 * hidden_size
        super().__init__(
            input_size, hidden_size, bias, output_size=both, init=init, dtype=dtype, rngs=rngs
        )
        self.output_size = hidden_size
        self.dt, self.gamma, self.epsilon = float(dt), float(gamma), float(epsilon)

    def initialize_carry(
        self, input_shape: Any, rngs: Any = None, carry_init: Any = None
    ) -> CoRNNCarry:
        """Zeros, (*batch, H)."""
        zeros = jnp.zeros((*input_shape[:-1], self.hidden_size), accumulator(self.dtype))
        return CoRNNCarry(zeros, zeros)

    def hidden_input(self, carry: CoRNNCarry) -> Float[Array, "*batch K"]:
        return jnp.concatenate(carry, -1)

    def update(self, gates: Any, carry: CoRNNCarry) -> tuple[CoRNNCarry, Float[Array, "*batch H"]]:
        force = jnp.tanh(gates.force) - self.gamma * carry.h - self.epsilon * carry.z
        z = carry.z + self.dt * force
        h = carry.h + self.dt * z
        return CoRNNCarry(h, z), h
