"""Zoneout: parts of the state keep their value for a step."""

from typing import Any

import jax
import jax.numpy as jnp

from jax_rnn.arguments import check_rate
from jax_rnn.cells.base import Cell, Noise
from jax_rnn.cells.wrapper import Wrapper
from jax_rnn.typing import Array, CarryT, Size

__all__ = ["Zoneout"]


class Zoneout(Wrapper[CarryT]):
    r"""Every unit of the state keeps its value for a step with a fixed probability.

    .. math::
        h_t = d_t h_{t-1} + (1 - d_t) \tilde h_t, \quad d_t \sim Bernoulli(rate)

    where :math:`\tilde h_t` is the new state of the cell. In evaluation mode d_t is replaced by its
    expectation, the rate. If the cell returns its new h as y, y is the h after zoneout. New numbers
    are drawn for every step, unit and sequence.

    Args:
        cell: the cell.
        rates: float from 0 to 1 for each field of the carry, by name, e.g. ``h=0.05, c=0.5``; 0 for
            the others.

    Raises:
        TypeError: not a cell; a rate that is not a number. ValueError: a rate outside [0, 1]; a
            field that the carry does not have; a field that is not a vector.

    Source: D. Krueger et al., "Zoneout: regularizing RNNs by randomly preserving hidden
    activations", 2017.
    """

    def __init__(self, cell: Cell[CarryT], **rates: float):
        super().__init__(cell)
        if cell.num_feature_axes != 1:
            raise ValueError(
                f"Zoneout: expected a cell whose input has one axis of features, got "
                f"{type(cell).__name__} with num_feature_axes {cell.num_feature_axes}"
            )
        carry: Any = jax.eval_shape(lambda: cell.initialize_carry((cell.input_size,)))
        for name, rate in rates.items():
            check_rate(name, rate)
            if name not in carry._fields:
                raise ValueError(
                    f"Zoneout: expected rates for fields of the carry, {', '.join(carry._fields)}, "
                    f"got {name}"
                )
        self.rates = tuple((name, float(rate)) for name, rate in rates.items())
        self.shapes = tuple(getattr(carry, name).shape for name in rates)

    def draw(self, key: Array, batch: tuple[Size, ...]) -> Any:
        return tuple(
            jax.random.bernoulli(jax.random.fold_in(key, k), rate, (*batch, *shape))
            for k, ((_, rate), shape) in enumerate(zip(self.rates, self.shapes, strict=True))
        )

    def on_update(self, old: Any, new: Any, y: Any, noise: Noise | None) -> tuple[Any, Any]:
        mixed = {}
        for k, (name, rate) in enumerate(self.rates):
            before, now = getattr(old, name), getattr(new, name)
            if noise is None:
                mixed[name] = rate * before + (1 - rate) * now
            else:
                mixed[name] = jnp.where(noise.step[k], before, now)
        if "h" in mixed and y is new.h:
            y = mixed["h"]
        return new._replace(**mixed), y
