"""Figures in the style of all plots, and their formats."""

from pathlib import Path
from typing import TYPE_CHECKING

from jax_rnn.base.errors import ArgumentError
from jax_rnn.base.extras import optional
from jax_rnn.base.storage import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "COLOURS",
    "GRID",
    "INK",
    "JAX",
    "MUTED",
    "TORCH",
    "check_figure_suffix",
    "figure_of",
    "finish",
    "save_figure",
]

FIGURE_SUFFIXES = (".png", ".svg", ".pdf")

INK, MUTED, GRID = "#22272e", "#68717d", "#dfe3e8"
JAX, TORCH = "#0b4f8a", "#f4b459"
COLOURS = {"jax": JAX, "torch": TORCH}


def figure_of(width: float, height: float) -> "Figure":
    """An empty figure of a size in inches. ModuleNotFoundError: matplotlib is not installed."""
    return optional("matplotlib.figure").Figure((width, height), layout="constrained")


def finish(axes: "Axes", xlabel: str, ylabel: str) -> None:
    """Labels, colours, grid and legend."""
    axes.set_xlabel(xlabel, color=INK, fontsize=10.5)
    axes.set_ylabel(ylabel, color=INK, fontsize=10.5)
    axes.tick_params(colors=MUTED, labelcolor=INK, labelsize=10, length=3)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(MUTED)
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(-0.14, 1.0),
        ncols=3,
        frameon=False,
        fontsize=10,
        labelcolor=INK,
        handlelength=1.4,
        handletextpad=0.5,
        columnspacing=1.2,
    )


def check_figure_suffix(path: Path) -> None:
    """ArgumentError: not the name of a .png, .svg or .pdf file."""
    if path.suffix.lower() not in FIGURE_SUFFIXES:
        expected = ", ".join(FIGURE_SUFFIXES)
        raise ArgumentError("plot", f"expected a name that ends in {expected}, got {str(path)!r}")


def save_figure(figure: "Figure", path: str | Path) -> None:
    """Write the figure in the format of the suffix. ArgumentError: as ``check_figure_suffix``."""
    check_figure_suffix(Path(path))
    with replacing(Path(path)) as file:
        figure.savefig(file, format=Path(path).suffix[1:].lower(), dpi=200)
