"""What happens inside a cell while it reads a text, in numbers."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from jax_rnn.analysis.gates import gate_activations
from jax_rnn.analysis.gradients import gradient_norms
from jax_rnn.analysis.jacobians import hidden_radii, lyapunov_exponents
from jax_rnn.cells.affine import AffineCell
from jax_rnn.cells.base import Cell
from jax_rnn.cells.gated import GatedCell
from jax_rnn.lecture.inspect.reading import Reading
from jax_rnn.scans.runner import run_all

__all__ = ["Gate", "Inside", "look_inside"]

EXPONENTS = 8
"""Maximum number of Lyapunov exponents."""

LOW, HIGH = 0.1, 0.9
"""A gate is saturated below or above, as a share of its range."""


@dataclass(frozen=True)
class Gate:
    """The activations of a gate.

    Attributes:
        name: of the gate.
        values: activations (T, H).
        signed: whether they are those of tanh, from -1 to 1, and not from 0 to 1.
    """

    name: str
    values: np.ndarray
    signed: bool

    @property
    def low(self) -> np.ndarray:
        """Share of the letters at which each cell is saturated at the low end, (H,)."""
        return (self.values < (-HIGH if self.signed else LOW)).mean(0)

    @property
    def high(self) -> np.ndarray:
        """Share of the letters at which each cell is saturated at the high end, (H,)."""
        return (self.values > HIGH).mean(0)


@dataclass(frozen=True)
class Inside:
    """A layer that reads a text.

    Attributes:
        prompt: the text.
        cell: name of the class of the cell.
        shown: what ``values`` are, e.g. ``"tanh(c)"``.
        values: activations of the cells from -1 to 1, (T, H).
        order: numbers of the cells, those with the highest variance first.
        gates: the gates, in the order of the cell; empty if it has none with names.
        gradient: norm of the gradient of the last output, for every letter (T,).
        radii: gate -> spectral radius of its hidden map; empty if there is no such map.
        exponents: the largest Lyapunov exponents, the largest first.
    """

    prompt: str
    cell: str
    shown: str
    values: np.ndarray
    order: np.ndarray
    gates: tuple[Gate, ...]
    gradient: np.ndarray
    radii: dict[str, float]
    exponents: np.ndarray


def look_inside(reading: Reading, prompt: str) -> Inside:
    """Measure a cell while it reads a text.

    Raises:
        ValueError: states that are not finite.
    """
    cell, x, _ = reading
    carry = cell.initialize_carry(x.shape[1:])
    _, _, states, _ = run_all(cell, carry, x, states=True)
    shown, values = _activations(states)
    if not np.isfinite(values).all():
        raise ValueError(
            "run: expected a model with finite states, got infinity or NaN; the training of this "
            "run has diverged"
        )
    size = sum(leaf.shape[-1] for leaf in carry)
    exponents = lyapunov_exponents(cell, x, count=min(EXPONENTS, size))[0]
    return Inside(
        prompt=prompt,
        cell=type(cell).__name__,
        shown=shown,
        values=values,
        order=np.argsort(-values.var(0), kind="stable"),
        gates=_gates(cell, x),
        gradient=np.asarray(gradient_norms(cell, x))[:, 0],
        radii=hidden_radii(cell) if isinstance(cell, AffineCell) else {},
        exponents=np.sort(np.asarray(exponents))[::-1],
    )


def _activations(states: Any) -> tuple[str, np.ndarray]:
    """The state whose cells are shown, and its values between -1 and 1, (T, H)."""
    field = "c" if "c" in states._fields else states._fields[0]
    values = np.asarray(getattr(states, field))[:, 0]
    if field == "c" or np.abs(values).max() > 1:
        return f"tanh({field})", np.tanh(values)
    return field, values


def _gates(cell: Cell, x: Any) -> tuple[Gate, ...]:
    if not isinstance(cell, GatedCell):
        return ()
    found = {name: np.asarray(a)[:, 0] for name, a in gate_activations(cell, x).items()}
    return tuple(Gate(name, a, bool((a < 0).any())) for name, a in found.items())
