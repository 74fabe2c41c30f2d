"""The minimal LSTM, whose gates do not read the state."""

from jax.nn import sigmoid, softplus

from jax_rnn.base.typing import Array, Float
from jax_rnn.cells.base import HiddenCarry
from jax_rnn.cells.literature.minimal import MinimalCell

__all__ = ["MinLSTMCell"]


class MinLSTMCell(MinimalCell):
    r"""An LSTM without the hidden map and the output gate, so that it runs in parallel over time.

    .. math::
        f_t &= \sigma(W_{if} x_t + b_{if}), \quad i_t = \sigma(W_{ii} x_t + b_{ii}) \\
        n_t &= g(W_{in} x_t + b_{in}) \\
        h_t &= \frac{f_t}{f_t + i_t} h_{t-1} + \frac{i_t}{f_t + i_t} n_t

    where g(a) = a, or with ``positive`` a + 1/2 above 0 and its logistic function below: the form
    that the paper computes in logarithms. Then all states are positive, and the initial one is
    g(0) = 1/2.

    Shapes: x (*batch, I), h (*batch, H), y = h_t. Parameters, gates in the order f i n:
    ``weight_ih`` (3H, I), ``bias_ih`` (3H,). The recurrence is computed in float32 for half
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

    Source: L. Feng et al., "Were RNNs all we needed?", 2024, section 3.2, appendices A and B.
    """

    gates = ("f", "i", "n")

    def coefficients(self, x: Float[Array, "*batch I"]) -> tuple[HiddenCarry, HiddenCarry]:
        f, i, n = self.maps(x)
        f = sigmoid(softplus(-i) - softplus(-f))  # of log f - log i
        return HiddenCarry(f), HiddenCarry((1 - f) * n)
