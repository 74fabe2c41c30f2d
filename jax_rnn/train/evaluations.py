"""The held-out figures of a run so far, and whether patience is at an end."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["Evaluations"]

PREFIX = "held_out_"
"""Of their names in the records of a run."""


class Evaluations:
    """One row a look at the held-out data: ``"step"`` and its figures.

    Args:
        patience: looks without a better ``"loss"`` after which training stops; None never stops it.
    """

    def __init__(self, patience: int | None):
        self.patience = patience
        self.rows: list[dict[str, float]] = []

    def recall(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Take over what a run recorded before."""
        for record in records:
            figures = {
                name.removeprefix(PREFIX): math.nan if value is None else value
                for name, value in record.items()
                if name.startswith(PREFIX)
            }
            if figures:
                self.rows.append({"step": record["step"], **figures})

    def add(self, step: int, figures: Mapping[str, float]) -> dict[str, float]:
        """Keep the figures; returns them under the names they have in a record."""
        plain = {name: float(value) for name, value in figures.items()}
        self.rows.append({"step": step, **plain})
        return {f"{PREFIX}{name}": value for name, value in plain.items()}

    def at(self, step: int) -> dict[str, float]:
        """The figures after that step; empty where nobody looked."""
        row = next((row for row in reversed(self.rows) if row["step"] == step), {})
        return {name: value for name, value in row.items() if name != "step"}

    @property
    def exhausted(self) -> bool:
        losses = [_comparable(row.get("loss")) for row in self.rows]
        if self.patience is None or not losses:
            return False
        return len(losses) - 1 - losses.index(min(losses)) >= self.patience


def _comparable(loss: float | None) -> float:
    return math.inf if loss is None or math.isnan(loss) else loss
