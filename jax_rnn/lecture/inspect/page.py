"""What happens inside a cell as one self-contained HTML file, or as figures in a folder."""

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jax_rnn.base.extras import optional
from jax_rnn.base.figures import inline_svg, save_figure
from jax_rnn.base.storage import write_text
from jax_rnn.lecture.inspect.figures import (
    MAX_ROWS,
    gates_figure,
    gradient_figure,
    letters_figure,
    saturation_figure,
    visible,
)
from jax_rnn.lecture.inspect.inside import Inside

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["render_html", "write_figures", "write_html"]

SHADES = 10
"""Strengths of the colour of a background."""


def write_html(path: Path, inside: Inside, *, title: str, cells: int) -> None:
    """Write ``render_html`` to a file."""
    write_text(path, render_html(inside, title=title, cells=cells))


def render_html(inside: Inside, *, title: str, cells: int) -> str:
    """The page, which needs no other file and no network.

    Args:
        inside: what is shown.
        title: what was inspected.
        cells: number of cells whose activations colour the text.

    Raises:
        ModuleNotFoundError: jinja2 or matplotlib is not installed.
    """
    jinja2 = optional("jinja2")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    source = files("jax_rnn.lecture.inspect").joinpath("page.html.jinja")
    with _any_glyph():
        plots = _figures(inside)
        figures = {name: inline_svg(figure, f"{name}-") for name, figure in plots.items()}
    return environment.from_string(source.read_text(encoding="utf-8")).render(
        title=title,
        inside=inside,
        figures=figures,
        widths={name: figure.get_figwidth() for name, figure in plots.items()},
        cells=[(cell, list(_coloured(inside, cell))) for cell in inside.order[:cells].tolist()],
        shades=range(1, SHADES + 1),
        rows=min(len(inside.order), MAX_ROWS),
        factor=math.exp(inside.exponents[0]),
    )


def write_figures(folder: Path, inside: Inside, *, cells: int) -> list[Path]:
    """Write the figures as PNG files to a folder that exists; return their paths.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    with _any_glyph():
        figures = {"letters": letters_figure(inside, cells), **_figures(inside)}
        for name, figure in figures.items():
            save_figure(figure, folder / f"{name}.png")
    return [folder / f"{name}.png" for name in figures]


def _figures(inside: Inside) -> dict[str, "Figure"]:
    figures = {"gradient": gradient_figure(inside)}
    if inside.gates:
        figures |= {"gates": gates_figure(inside), "saturation": saturation_figure(inside)}
    return figures


def _coloured(inside: Inside, cell: int) -> Iterator[dict[str, Any]]:
    """Each letter with its activation and the class of its background."""
    for letter, value in zip(inside.prompt, inside.values[:, cell].tolist(), strict=True):
        shade = round(abs(value) * SHADES)
        yield {
            "text": visible(letter) + "\n" * (letter == "\n"),
            "value": f"{value:.2f}",
            "shade": f"{'n' if value < 0 else 'p'}{shade}" if shade else "",
        }


@contextmanager
def _any_glyph() -> Iterator[None]:
    """Context in which a letter that the font lacks is shown as a box without a warning."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        yield
