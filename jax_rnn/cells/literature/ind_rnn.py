"""The independently recurrent network, whose hidden map is diagonal."""

from typing import Any, Literal

import jax
from flax import nnx

from jax_rnn.base.initializers import TORCH, Init, published
from jax_rnn.base.typing import Array, DTypeLike
from jax_rnn.cells.rnn import RNNCell

__all__ = ["IndRNNCell"]


def _uniform(key: Any, gates: int, hidden_size: int, fan_in: int, dtype: Any) -> Array:
    return jax.random.uniform(key, (gates * hidden_size, fan_in), dtype)


class IndRNNCell(RNNCell):
    r"""Independently recurrent network: each feature reads its own past only.

    .. math::
        h_t = relu(W_{ih} x_t + b_{ih} + u h_{t-1} + b_{hh})

    The features meet in the next layer. To keep gradients over T steps below g, clip u to
    absolute values of at most g^(1/T) after each step of the optimizer.

    Shapes: x (*batch, I), h (*batch, H), y = h_t. Parameters: ``weight_ih`` (H, I), ``weight_hh``
    (H, 1), which is u, ``bias_ih`` (H,), ``bias_hh`` (H,). Initial values: input weights as in
    ``torch.nn``, u from U(0, 1), biases 0.

    Args:
        input_size: int, I, features of the input.
        hidden_size: int, H, features of the hidden state.
        bias: bool, whether both maps have a bias; True by default.
        nonlinearity: ``"relu"`` (default) or ``"tanh"``.
        init: initial distribution, ``"torch"``, ``"flax"`` or an ``initializers.Scheme``; None
            (default) is the one above.
        dtype: dtype of the parameters, inputs and outputs; None is JAX's default float.
        rngs: ``nnx.Rngs``, source of the initial values.

    Raises:
        TypeError: a size that is not an int. ValueError: a size below 1, an unknown init, dtype
            or nonlinearity.

    Source: S. Li, W. Li, C. Cook, C. Zhu and Y. Gao, "Independently recurrent neural network
    (IndRNN): building a longer and deeper RNN", 2018.
    """

    default_init = published(TORCH, 0.0, weight_hh=_uniform)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: Literal["relu", "tanh"] = "relu",
        *,
        init: Init | None = None,
        dtype: DTypeLike | None = None,
        rngs: nnx.Rngs,
    ):
        super().__init__(
            input_size,
            hidden_size,
            bias,
            nonlinearity,
            heads=hidden_size,
            init=self.default_init if init is None else init,
            dtype=dtype,
            rngs=rngs,
        )
