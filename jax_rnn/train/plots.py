"""Plot the losses of a run."""

from collections.abc import Sequence
from typing import IO, Any

from jax_rnn.base.extras import optional

__all__ = ["loss_plot"]


def loss_plot(rows: Sequence[dict[str, Any]], file: IO[bytes]) -> None:
    """Write training loss and held-out loss by step as PNG.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    figure = optional("matplotlib.figure").Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for name, label, style in (
        ("loss", "training", {"color": "C0", "alpha": 0.6}),
        ("held_out_loss", "held out", {"color": "C1", "marker": "o", "markersize": 3}),
    ):
        points = [(row["step"], row[name]) for row in rows if row.get(name) is not None]
        if points:
            axes.plot(*zip(*points, strict=True), label=label, **style)
            axes.annotate(
                f"{points[-1][1]:.3f}",
                points[-1],
                xytext=(4, 0),
                textcoords="offset points",
                color=style["color"],
                va="center",
            )
    axes.set(xlabel="step", ylabel="loss")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.2)
    axes.legend(frameon=False)
    figure.savefig(file, format="png", dpi=150)
