"""Figures in the style of all plots, and their formats."""

import re
from io import StringIO
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
    "inline_svg",
    "save_figure",
]

FIGURE_SUFFIXES = (".png", ".svg", ".pdf")

INK, MUTED, GRID = "#22272e", "#68717d", "#dfe3e8"
JAX, TORCH = "#0b4f8a", "#f4b459"
COLOURS = {"jax": JAX, "torch": TORCH}

STYLE_VARIABLES = {INK: "ink", MUTED: "muted", GRID: "grid", JAX: "jax", TORCH: "torch"}
"""Colour -> the variable of a page that replaces it."""


def figure_of(width: float, height: float) -> "Figure":
    """An empty figure of a size in inches. ModuleNotFoundError: matplotlib is not installed."""
    return optional("matplotlib.figure").Figure((width, height), layout="constrained")


def finish(axes: "Axes", xlabel: str, ylabel: str, *, legend: bool = True) -> None:
    """Labels, colours, grid and, by default, a legend."""
    axes.set_xlabel(xlabel, color=INK, fontsize=10.5)
    axes.set_ylabel(ylabel, color=INK, fontsize=10.5)
    axes.tick_params(colors=MUTED, labelcolor=INK, labelsize=10, length=3)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(MUTED)
    if not legend:
        return
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
        expected = "a file name that ends in .png, .svg or .pdf"
        raise ArgumentError("plot", f"expected {expected}, got {str(path)!r}")


def save_figure(figure: "Figure", path: str | Path) -> None:
    """Write the figure in the format of the suffix. ArgumentError: as ``check_figure_suffix``."""
    check_figure_suffix(Path(path))
    with replacing(Path(path)) as file:
        figure.savefig(file, format=Path(path).suffix[1:].lower(), dpi=200)


def inline_svg(figure: "Figure", prefix: str) -> str:
    """The figure as an HTML element with the colours and fonts of the page.

    Args:
        figure: the figure.
        prefix: what its ids start with, another for every figure of a page.
    """
    rc_context = optional("matplotlib").rc_context
    buffer = StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": prefix}):
        figure.savefig(buffer, format="svg", transparent=True)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", svg, flags=re.S)
    view = re.search(r'viewBox="[^"]*"', svg)
    assert view is not None
    svg = re.sub(r"<svg[^>]*>", f'<svg {view[0]} aria-hidden="true">', svg, count=1)
    svg = re.sub(r'(?<= id=")|(?<=url\(#)|(?<=href="#)', prefix, svg)
    svg = re.sub(r'font-family: [^;"]*(; )?', "", svg)
    for colour, variable in STYLE_VARIABLES.items():
        svg = svg.replace(colour, f"var(--{variable})")
    return svg.replace("xlink:href", "href")
