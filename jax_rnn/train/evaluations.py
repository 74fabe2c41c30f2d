"""The held-out figures of a run, and early stopping."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["Evaluations"]

PREFIX = "held_out_"
"""Prefix of their names in the records of a run."""


class Evaluations:
    """One row per evaluation: ``"step"`` and its figures.

    Args:
        patience: evaluations without a better figure after which training stops; None never stops
            it.
        monitor: name of the figure for ``patience`` and the best checkpoint.
        mode: whether the smallest or the largest figure is the best.
    """

    def __init__(self, patience: int | None, monitor: Any = "loss", mode: Any = "min"):
        if mode not in ("min", "max"):
            raise ValueError(f"mode: expected min or max, got {mode!r}")
        if not isinstance(monitor, str):
            raise TypeError(f"monitor: expected the name of a figure, got {monitor!r}")
        self.patience, self.monitor, self.mode = patience, monitor, mode
        self.rows: list[dict[str, float]] = []

    def recall(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Restore the ``plain`` rows of an earlier process."""
        for row in rows:
            values = {k: math.nan if value is None else float(value) for k, value in row.items()}
            self.rows.append(values | {"step": int(row["step"])})

    def plain(self) -> list[dict[str, Any]]:
        """The rows for JSON: None for values that are not finite."""
        return [
            {k: value if math.isfinite(value) else None for k, value in row.items()}
            for row in self.rows
        ]

    def add(self, step: int, figures: Mapping[str, float]) -> dict[str, float]:
        """Store the figures; return them under their names in a record.

        Raises:
            ValueError: the monitored figure is missing, but needed.
        """
        plain = {name: float(value) for name, value in figures.items()}
        needed = self.patience is not None or self.monitor != "loss"
        if needed and self.monitor not in plain:
            raise ValueError(
                f"evaluate: expected figures with {self.monitor!r}, for patience and the best "
                f"checkpoint, got {', '.join(plain) or 'none'}; return it, or specify another "
                'figure and its direction, as monitor="accuracy", mode="max"'
            )
        self.rows.append({"step": step, **plain})
        return {f"{PREFIX}{name}": value for name, value in plain.items()}

    def at(self, step: int) -> dict[str, float]:
        """The figures after this step; empty if it was not evaluated."""
        row = next((row for row in reversed(self.rows) if row["step"] == step), {})
        return {name: value for name, value in row.items() if name != "step"}

    @property
    def exhausted(self) -> bool:
        """Whether ``patience`` evaluations have passed without a better figure."""
        values = [self._comparable(row.get(self.monitor)) for row in self.rows]
        if self.patience is None or not values:
            return False
        return len(values) - 1 - values.index(min(values)) >= self.patience

    def _comparable(self, value: float | None) -> float:
        if value is None or math.isnan(value):
            return math.inf
        return value if self.mode == "min" else -value
