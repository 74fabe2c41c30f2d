"""Figures of what happens inside a cell."""

from typing import TYPE_CHECKING, Any

import numpy as np

from jax_rnn.base.extras import optional
from jax_rnn.base.figures import INK, JAX, MUTED, figure_of, finish
from jax_rnn.lecture.inspect.inside import Gate, Inside

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "MAX_ROWS",
    "gates_figure",
    "gradient_figure",
    "letters_figure",
    "saturation_figure",
    "visible",
]

MAX_ROWS = 40
"""Maximum number of rows of a heat map."""

LETTERS_IN_ROW = 64
"""Maximum number of letters below an axis, and of those in a row of text."""

LOW, HIGH = "#f4a93c", "#5ba4e6"
"""Colours of -1 and 1, on which dark letters are legible."""

VISIBLE = {"\n": "↵", "\t": "→"}


def visible(letter: str) -> str:
    """A letter as it is shown; what cannot be printed is shown as �."""
    return VISIBLE.get(letter, letter if letter.isprintable() else "�")


def letters_figure(inside: Inside, cells: int) -> "Figure":
    """The text on backgrounds coloured by the activations of cells, one cell after another."""
    rows = -(-len(inside.prompt) // LETTERS_IN_ROW)
    columns = min(len(inside.prompt), LETTERS_IN_ROW)
    shown = inside.order[:cells]
    figure = figure_of(max(3.0, 0.15 * columns + 0.4), (0.26 * rows + 0.35) * len(shown))
    for axes, cell in zip(figure.subplots(len(shown), squeeze=False)[:, 0], shown, strict=True):
        grid = np.full((rows, columns), np.nan)
        grid.flat[: len(inside.prompt)] = inside.values[:, cell]
        axes.imshow(grid, cmap=_colours(True), vmin=-1, vmax=1, aspect="auto")
        for t, letter in enumerate(inside.prompt):
            row, column = divmod(t, columns)
            axes.text(
                column,
                row,
                visible(letter),
                ha="center",
                va="center",
                family="monospace",
                fontsize=10,
                color=INK,
                parse_math=False,
            )
        axes.set_title(f"cell {cell}, {inside.shown}", loc="left", fontsize=10, color=INK)
        axes.set_axis_off()
    return figure


def gates_figure(inside: Inside) -> "Figure":
    """A heat map for each gate: the cells with the highest variance first, over the letters."""
    shown = inside.order[:MAX_ROWS]
    height = 0.6 + max(0.8, 0.06 * len(shown))
    figure = figure_of(_width(inside), height * len(inside.gates) + 0.3)
    all_axes = figure.subplots(len(inside.gates), sharex=True, squeeze=False)[:, 0]
    for axes, gate in zip(all_axes, inside.gates, strict=True):
        image = axes.imshow(
            gate.values[:, shown].T,
            cmap=_colours(gate.signed),
            vmin=-1 if gate.signed else 0,
            vmax=1,
            aspect="auto",
            interpolation="none",
        )
        axes.set_title(f"gate {gate.name}", loc="left", fontsize=10.5, color=INK)
        axes.set_ylabel("cells", color=INK)
        axes.set_yticks([])
        bar = figure.colorbar(image, ax=axes, fraction=0.03, pad=0.01)
        bar.ax.tick_params(colors=MUTED, labelcolor=INK, labelsize=9)
        bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
        axes.spines[:].set_visible(False)
        axes.tick_params(colors=MUTED, labelcolor=INK, labelsize=10)
    _name_letters(all_axes[-1], inside.prompt)
    return figure


def saturation_figure(inside: Inside) -> "Figure":
    """For each gate a point per cell: how often it is saturated at the high and the low end."""
    figure = figure_of(2.4 * max(2, len(inside.gates)), 2.6)
    all_axes = figure.subplots(1, len(inside.gates), squeeze=False, sharey=True)[0]
    for axes, gate in zip(all_axes, inside.gates, strict=True):
        axes.plot([0, 1], [1, 0], color=MUTED, linewidth=0.8)
        axes.scatter(gate.high, gate.low, s=22, color=JAX, alpha=0.5, linewidths=0, clip_on=False)
        axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
        finish(axes, f"share of letters {_ends(gate)[1]}", "", legend=False)
        axes.set_title(f"gate {gate.name}", loc="left", fontsize=10.5, color=INK)
        axes.set_xticks([0, 0.5, 1])
        axes.set_ylabel(f"share of letters {_ends(gate)[0]}", color=INK, fontsize=10.5)
    return figure


def gradient_figure(inside: Inside) -> "Figure":
    """The norm of the gradient of the last output with respect to the state before each letter."""
    figure = figure_of(_width(inside), 2.8)
    axes = figure.subplots()
    norms = np.where(inside.gradient > 0, inside.gradient, np.nan)
    axes.plot(norms, color=JAX, linewidth=2, marker="o" if len(norms) < 40 else None, markersize=4)
    axes.set_yscale("log")
    axes.set_xlim(-0.5, len(norms) - 0.5)
    finish(axes, "", "norm of the gradient", legend=False)
    _name_letters(axes, inside.prompt)
    return figure


def _width(inside: Inside) -> float:
    """Inches of a figure over the letters."""
    return min(9.6, 3.2 + 0.2 * len(inside.prompt))


def _ends(gate: Gate) -> tuple[str, str]:
    return ("< −0.9", "> 0.9") if gate.signed else ("< 0.1", "> 0.9")


def _name_letters(axes: "Axes", prompt: str) -> None:
    """Write the letters below an axis; of a long text their numbers."""
    if len(prompt) > LETTERS_IN_ROW:
        axes.set_xlabel("index of the letter", color=INK, fontsize=10.5)
        return
    labels = axes.set_xticks(range(len(prompt)), [visible(letter) for letter in prompt])
    for tick in labels:
        tick.label1.set(parse_math=False, family="monospace")


def _colours(signed: bool) -> Any:
    """From white to blue; of numbers of both signs from orange over white to blue."""
    colours = [LOW, "white", HIGH] if signed else ["white", JAX]
    return optional("matplotlib.colors").LinearSegmentedColormap.from_list("activation", colours)
