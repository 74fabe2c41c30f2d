"""The minimal gated unit."""

import jax.numpy as jnp
from jax.nn import sigmoid

from jax_rnn.base.initializers import TORCH, published
from jax_rnn.base.typing import Array, Float
from jax_rnn.cells.affine import AffineCell
from jax_rnn.cells.base import HiddenCarry
from jax_rnn.cells.literature.shared import with_arguments

__all__ = ["MGUCell"]


@with_arguments
class MGUCell(AffineCell[HiddenCarry]):
    r"""Minimal gated unit: one gate both forgets and resets.

    .. math::
        f_t &= \sigma(W_{if} x_t + b_{if} + W_{hf} h_{t-1} + b_{hf}) \\
        n_t &= \tanh(W_{in} x_t + b_{in} + W_{hn} (f_t h_{t-1}) + b_{hn}) \\
        h_t &= (1 - f_t) h_{t-1} + f_t n_t

    The second hidden map needs the gate, so a step has two products one after the other, and the
    fast scan does not support it.

    Shapes: x (*batch, I), h (*batch, H), y = h_t. Parameters, gates in the order f n:
    ``weight_ih`` (2H, I), ``weight_hh`` (2H, H), ``bias_ih`` (2H,), ``bias_hh`` (2H,). Initial
    values: weights as in ``torch.nn``, biases 0 except for b_if = 1.

    Source: G.-B. Zhou, J. Wu, C.-L. Zhang and Z.-H. Zhou, "Minimal gated unit for recurrent neural
    networks", 2016.
    """

    gates = ("f", "n")
    default_init = published(TORCH, 1.0, 0.0)

    def step(
        self, carry: HiddenCarry, x: tuple[Float[Array, "*batch H"], ...]
    ) -> tuple[HiddenCarry, Float[Array, "*batch H"]]:
        x_f, x_n = x
        (h_f,) = self.recur(carry.h, ("f",))
        f = sigmoid(x_f + h_f)
        (h_n,) = self.recur(f * carry.h, ("n",))
        h = (1 - f) * carry.h + f * jnp.tanh(x_n + h_n)
        return HiddenCarry(h), h.astype(self.dtype)
