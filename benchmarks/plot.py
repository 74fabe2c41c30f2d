"""Plot the ratios of all rows, one panel per pass; above 1, jax_rnn is faster."""

from pathlib import Path
from typing import Any

from jax_rnn.base.figures import GRID, INK, MUTED, save_figure
from jax_rnn.bench.problem import Setting
from jax_rnn.bench.race import OURS

__all__ = ["plot"]

TITLES = {
    "forward": "forward",
    "backward": "forward + backward",
    "step": "a step of Adam",
    "loop": "a step in a loop",
}
COLOURS = {
    "torch": "#f4b459",
    "flax.nnx": "#0b4f8a",
    "flax.linen": "#4f9bd9",
    "haiku": "#7a5ea8",
    "equinox": "#3a9d5d",
    "keras": "#c8453b",
}
OTHERS = ("#68717d", "#b08968", "#2a9d8f")


def plot(result: dict[str, Any], path: Path) -> None:
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    rows = result["rows"]
    labels = [Setting(**row["setting"]).title for row in rows]
    passes = [kind for kind in TITLES if any(kind in row["entries"] for row in rows)]
    figure = Figure((4 + 3.2 * len(passes), 1.8 + 0.3 * len(rows)), layout="constrained")
    panels = figure.subplots(1, len(passes), sharex=True, sharey=True, squeeze=False)[0]
    colours = dict(COLOURS)
    for axes, kind in zip(panels, passes, strict=True):
        for k, row in enumerate(rows):
            for name, entry in row["entries"].get(kind, {}).items():
                if name == OURS or entry["ratio"] is None:
                    continue
                colour = colours.setdefault(name, OTHERS[len(colours) % len(OTHERS)])
                hollow = name in row["notes"]
                axes.plot(
                    entry["ratio"],
                    k,
                    marker="o",
                    markersize=6,
                    linestyle="",
                    color=colour,
                    markerfacecolor="none" if hollow else colour,
                    alpha=0.9,
                )
        axes.axvline(1, color=INK, linewidth=1)
        axes.set_xscale("log")
        axes.set_title(TITLES[kind], color=INK, fontsize=11, loc="left")
        axes.set_xlabel("their time / ours", color=INK, fontsize=10)
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda ratio, _: f"{ratio:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.tick_params(colors=MUTED, labelcolor=INK, labelsize=8.5, length=3)
        axes.tick_params(axis="x", labelrotation=60)
        axes.grid(color=GRID, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(MUTED)
    panels[0].set_yticks(range(len(rows)), labels)
    panels[0].invert_yaxis()
    seen = {name for row in rows for entries in row["entries"].values() for name in entries}
    for name, colour in colours.items():
        if name in seen:
            panels[0].plot([], [], marker="o", linestyle="", color=colour, label=name)
    figure.legend(loc="outside upper center", ncols=9, frameon=False, fontsize=9, labelcolor=INK)
    save_figure(figure, path)
