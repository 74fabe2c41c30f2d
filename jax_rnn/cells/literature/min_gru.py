"""The minimal gated recurrent unit, whose gate does not read the state."""

from jax.nn import sigmoid

from jax_rnn.base.typing import Array, Float
from jax_rnn.cells.base import HiddenCarry
from jax_rnn.cells.literature.minimal import MinimalCell

__all__ = ["MinGRUCell"]


class MinGRUCell(MinimalCell):
    r"""A GRU without the hidden map and the reset gate, so that it runs in parallel over time.

    .. math::
        z_t &= \sigma(W_{iz} x_t + b_{iz}) \\
        n_t &= g(W_{in} x_t + b_{in}) \\
        h_t &= (1 - z_t) h_{t-1} + z_t n_t

    where g(a) = a, or with ``positive`` a + 1/2 above 0 and its logistic function below: the form
    that the paper computes in logarithms. Then all states are positive, and the initial one is
    g(0) = 1/2.

    Shapes: x (*batch, I), h (*batch, H), y = h_t. Parameters, gates in the order z n:
    ``weight_ih`` (2H, I), ``bias_ih`` (2H,). The recurrence is computed in float32 for half
    precision.

    Args:
        input_size: int, I, features of the input.
        hidden_size: int, H, features of the hidden state.
        bias: bool, whether the map has a bias; True by default.
        positive: bool, whether candidates and states are positive; False by default.
        init: initial distribution, ``"torch"`` (default), ``"flax"`` or an ``initializers.Scheme``.
        dtype: dtype of the parameters, inputs and outputs; None is JAX's default float.
        rngs: ``nnx.Rngs``, source of the initial values.

    Raises:
        TypeError: a size that is not an int. ValueError: a size below 1, an unknown init or dtype.

    Source: L. Feng et al., "Were RNNs all we needed?", 2024, section 3.1, appendices A and B.
    """

    gates = ("z", "n")

    def coefficients(self, x: Float[Array, "*batch I"]) -> tuple[HiddenCarry, HiddenCarry]:
        z, n = self.maps(x)
        z = sigmoid(z)
        return HiddenCarry(1 - z), HiddenCarry(z * n)
