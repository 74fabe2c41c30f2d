"""A report of comparisons as one self-contained HTML file."""

from collections.abc import Iterator, Sequence
from importlib.resources import files
from itertools import groupby, repeat, zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jax_rnn.base.extras import optional
from jax_rnn.base.figures import inline_svg
from jax_rnn.base.storage import write_text
from jax_rnn.lecture.compare.comparison import Comparison, title_of
from jax_rnn.lecture.compare.plots import difference_figure, first_right, loss_figure

__all__ = ["render_html", "write_html"]


class Row(NamedTuple):
    """One step in the table of losses; ``runs`` splits both strings into equal and unequal pieces.

    ``loss`` and ``runs`` hold those of the first framework, then those of the second.
    """

    number: int
    loss: list[str]
    difference: str
    runs: list[list[tuple[bool, str]]]
    equal: bool
    verdict: str
    right: bool


def write_html(path: str | Path, comparisons: Sequence[Comparison]) -> None:
    """Write ``render_html`` to a file."""
    write_text(Path(path), render_html(comparisons))


def render_html(comparisons: Sequence[Comparison]) -> str:
    """The page, which needs no other file and no network.

    Raises:
        ValueError: no comparisons.
        ModuleNotFoundError: jinja2 or matplotlib is not installed.
    """
    if not comparisons:
        raise ValueError("comparisons: expected at least one, got none")
    jinja2 = optional("jinja2")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "number": number,
        "seconds": seconds,
        "shapes": shapes,
        "title_of": title_of,
    }
    source = (
        files("jax_rnn.lecture.compare").joinpath("page.html.jinja").read_text(encoding="utf-8")
    )
    first = comparisons[0].environment
    same_everywhere = all(comparison.environment == first for comparison in comparisons)
    return environment.from_string(source).render(
        headline=headline(comparisons),
        frameworks=" and ".join(map(title_of, comparisons[0].frameworks)),
        sections=[_section(index, comparison) for index, comparison in enumerate(comparisons, 1)],
        environment=_environment(comparisons) if same_everywhere else None,
        dtypes=sorted({c.dtype for c in comparisons if c.steps}),
        ladder=any(c.rungs for c in comparisons),
    )


def headline(comparisons: Sequence[Comparison]) -> str:
    """The result in one sentence."""
    trained = [c for c in comparisons if c.max_abs_loss_difference is not None]
    if not trained:
        names = ", ".join(c.title for c in comparisons)
        largest = max(max(c.max_abs_value_difference.values()) for c in comparisons)
        return f"{names}: largest difference of outputs and states {number(largest)}"
    worst = max(trained, key=lambda c: c.max_abs_loss_difference or 0)
    over = f"over {_length(trained)}"
    predicted = [c for c in trained if c.target is not None]
    if predicted:
        equal, of = (sum(getattr(c, n) for c in predicted) for n in ("predictions_equal", "steps"))
        over += f"; the strings are equal at {equal} of {of} epochs"
    difference = f"largest loss difference {number(worst.max_abs_loss_difference)}"
    if len(comparisons) == 1:
        return f"{worst.title}: {difference} {over}"
    return f"{len(comparisons)} comparisons: {difference} ({worst.title}, {worst.dtype}) {over}"


def _length(comparisons: Sequence[Comparison]) -> str:
    """How long each comparison is."""
    steps, units = [c.steps for c in comparisons], {c.unit for c in comparisons}
    unit = units.pop() if len(units) == 1 else "step"
    plural = "s" if max(steps) > 1 else ""
    length = f"{min(steps)} to {max(steps)}" if min(steps) < max(steps) else f"{steps[0]}"
    return f"{length} {unit}{plural}{' each' if len(steps) > 1 else ''}"


def number(value: float | None) -> str:
    """Two significant digits; an exact zero is printed as 0."""
    return "–" if value is None else "0" if value == 0 else f"{value:.1e}"


def seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def shapes(values: Sequence[Sequence[int]]) -> list[str]:
    return [str(tuple(shape)) for shape in values]


def _section(index: int, comparison: Comparison) -> dict[str, Any]:
    name = f"comparison-{index}"
    return {
        "id": name,
        "comparison": comparison,
        "environment": _environment([comparison]),
        "summary": headline([comparison]),
        "figures": _figures(comparison, name),
        "rows": list(_rows(comparison)),
        "first": [first_right(comparison, framework) for framework in comparison.frameworks],
    }


def _environment(comparisons: Sequence[Comparison]) -> dict[str, str]:
    """Versions and devices, and the times of the imports, which a process does once."""
    imports = {
        f"import of {title_of(side)}": f"{seconds:.2f} s"
        for comparison in comparisons
        for side in comparison.frameworks
        if (seconds := comparison.seconds[side].get("import")) is not None
    }
    return comparisons[0].environment | imports


def _rows(comparison: Comparison) -> Iterator[Row]:
    decimals = np.finfo(comparison.dtype).precision + 1
    losses = zip(*comparison.loss.values(), strict=True)
    texts = zip(*comparison.predictions.values(), strict=True)
    if comparison.target is None:
        texts = repeat(("", ""), comparison.steps)
    for index, ((a, b), (p, q)) in enumerate(zip(losses, texts, strict=True), 1):
        yield Row(
            number=index,
            loss=[f"{a:.{decimals}f}", f"{b:.{decimals}f}"],
            difference=number(abs(a - b)),
            runs=[list(_runs(p, q)), list(_runs(q, p))],
            equal=p == q,
            verdict=_verdict(p, q, comparison),
            right=p == q == comparison.target,
        )


def _verdict(ours: str, theirs: str, comparison: Comparison) -> str:
    if ours == theirs:
        return "equal and correct" if ours == comparison.target else "equal"
    for text, framework in zip((ours, theirs), comparison.frameworks, strict=True):
        if text == comparison.target:
            return f"correct in {title_of(framework)} only"
    return "different"


def _runs(text: str, other: str) -> Iterator[tuple[bool, str]]:
    """``text`` in pieces, each with whether it equals ``other`` at this place."""
    pairs = zip_longest(text, other[: len(text)])
    for same, run in groupby(pairs, key=lambda pair: pair[0] == pair[1]):
        yield same, "".join(character for character, _ in run)


def _figures(comparison: Comparison, prefix: str) -> dict[str, str]:
    if not comparison.steps:
        return {}
    return {
        "loss": inline_svg(loss_figure(comparison), f"{prefix}-loss-"),
        "difference": inline_svg(difference_figure(comparison), f"{prefix}-difference-"),
    }
