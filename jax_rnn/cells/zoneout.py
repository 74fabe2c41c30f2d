"""Zoneout: parts of the state keep their value for a step."""

from typing import Any

import jax
import jax.numpy as jnp

from jax_rnn.base.arguments import check_rate
from jax_rnn.base.typing import Array, CarryT, Size
from jax_rnn.cells.base import Cell, Noise
from jax_rnn.cells.inputs import example, of_lead, shape_of
from jax_rnn.cells.wrapper import Wrapper

__all__ = ["Zoneout"]


class Zoneout(Wrapper[CarryT]):
    r"""Every unit of the state keeps its value for a step with a fixed probability.

    .. math::
        h_t = d_t h_{t-1} + (1 - d_t) \tilde h_t, \quad d_t \sim Bernoulli(rate)

    where :math:`\tilde h_t` is the new state of the cell. In evaluation mode d_t is replaced by its
    expectation, the rate. New numbers are drawn for every step, unit and sequence.

    The output of most cells is their new h, so with a rate for h the output is zoned like h,
    :math:`y_t = d_t h_{t-1} + (1 - d_t) \tilde y_t`, if it has the shape of h. Where y is
    something else, ``output=False`` leaves it as the cell computes it.

    Args:
        cell: the cell.
        output: bool, whether y is zoned like h; True by default.
        rates: float from 0 to 1 for each field of the carry, by name, e.g. ``h=0.05, c=0.5``; 0 for
            the others.

    Raises:
        TypeError: not a cell; a rate that is not a number, an output that is not a bool.
        ValueError: a rate outside [0, 1]; a field that the carry does not have.

    Source: D. Krueger et al., "Zoneout: regularizing RNNs by randomly preserving hidden
    activations", 2017.
    """

    def __init__(self, cell: Cell[CarryT], *, output: bool = True, **rates: float):
        super().__init__(cell)
        if not isinstance(output, bool):
            raise TypeError(f"output: expected True or False, got {output!r}")
        carry: Any = jax.eval_shape(lambda: cell.initialize_carry(shape_of(example(cell))))
        for name, rate in rates.items():
            check_rate(name, rate)
            if name not in carry._fields:
                raise ValueError(
                    f"Zoneout: expected rates for fields of the carry, {', '.join(carry._fields)}, "
                    f"got {name}"
                )
        self.output = output
        self.rates = tuple((name, float(rate)) for name, rate in rates.items())

    def noise(self, key: Array, batch: tuple[Size, ...]) -> Any:
        shape = shape_of(of_lead(self, batch))
        carry: Any = jax.eval_shape(lambda: self.initialize_carry(shape))
        return tuple(
            jax.random.bernoulli(jax.random.fold_in(key, k), rate, getattr(carry, name).shape)
            for k, (name, rate) in enumerate(self.rates)
        )

    def on_update(self, old: Any, new: Any, y: Any, noise: Noise | None = None) -> tuple[Any, Any]:
        def zoned(k: int, rate: float, before: Array, now: Array) -> Array:
            if noise is None:
                return rate * before + (1 - rate) * now
            return jnp.where(noise.step[k], before, now)

        mixed = {}
        for k, (name, rate) in enumerate(self.rates):
            mixed[name] = zoned(k, rate, getattr(old, name), getattr(new, name))
            if name == "h" and self.output and y.shape == new.h.shape:
                y = mixed["h"] if y is new.h else zoned(k, rate, old.h.astype(y.dtype), y)
        return new._replace(**mixed), y
