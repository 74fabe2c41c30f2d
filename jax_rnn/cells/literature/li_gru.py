"""The light gated recurrent unit."""

from typing import Any

from jax.nn import initializers, relu, sigmoid

from jax_rnn.base.initializers import FLAX, per_gate, published
from jax_rnn.base.typing import Array, Float
from jax_rnn.cells.base import HiddenCarry
from jax_rnn.cells.gated import GatedCell
from jax_rnn.cells.literature.shared import with_arguments

__all__ = ["LiGRUCell"]


@with_arguments
class LiGRUCell(GatedCell[HiddenCarry]):
    r"""Light GRU for speech: no reset gate, and a candidate of relu.

    .. math::
        z_t &= \sigma(W_{iz} x_t + b_{iz} + W_{hz} h_{t-1} + b_{hz}) \\
        n_t &= relu(W_{in} x_t + b_{in} + W_{hn} h_{t-1} + b_{hn}) \\
        h_t &= z_t h_{t-1} + (1 - z_t) n_t

    The paper normalises W_i x_t over the batch. To do that, apply ``nnx.BatchNorm`` before the
    layer, and use ``bias=False``: the relu is unbounded, and the states grow without it.

    Shapes: x (*batch, I), h (*batch, H), y = h_t. Parameters, gates in the order z n:
    ``weight_ih`` (2H, I), ``weight_hh`` (2H, H), ``bias_ih`` (2H,), ``bias_hh`` (2H,). Initial
    values: Glorot uniform input weights, orthogonal hidden weights, biases 0.

    Source: M. Ravanelli, P. Brakel, M. Omologo and Y. Bengio, "Light gated recurrent units for
    speech recognition", 2018.
    """

    gates = ("z", "n")
    default_init = published(FLAX, 0.0, 0.0, weight_ih=per_gate(initializers.glorot_uniform()))

    def update(
        self, gates: Any, carry: HiddenCarry
    ) -> tuple[HiddenCarry, Float[Array, "*batch H"]]:
        z = sigmoid(gates.z)
        h = z * carry.h + (1 - z) * relu(gates.n)
        return HiddenCarry(h), h
