"""Plots of comparisons: the loss curves of both frameworks and their difference."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jax_rnn.compare.comparison import Comparison
from jax_rnn.compare.outputs import check_figure_suffix
from jax_rnn.compare.sweep import Sweep
from jax_rnn.extras import how_to_install

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "comparison_figure",
    "difference_figure",
    "first_right",
    "loss_figure",
    "save_figure",
    "sweep_figure",
]

INK, MUTED, GRID = "#22272e", "#68717d", "#dfe3e8"
JAX, TORCH = "#0b4f8a", "#f4b459"
COLOURS = {"jax": JAX, "torch": TORCH}
NAMES = {"jax": "JAX", "torch": "PyTorch"}
BACK_TO_FRONT = ("torch", "jax")

SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
COMPACT = (4.6, 2.9)


def comparison_figure(comparisons: Sequence[Comparison]) -> "Figure":
    """One row per comparison that trained: losses on the left, their difference on the right.

    Raises:
        ValueError: no comparison trained.
        ImportError: matplotlib is not installed.
    """
    trained = [comparison for comparison in comparisons if comparison.loss["jax"]]
    if not trained:
        raise ValueError("nothing to plot: expected a comparison that trained, got none")
    figure = _figure(9.6, 2.9 * len(trained))
    rows = figure.subfigures(len(trained), 1, squeeze=False)[:, 0]
    for row, comparison in zip(rows, trained, strict=True):
        heading = f"{comparison.title} · {comparison.dtype} · seed {comparison.seed}"
        row.suptitle(heading, x=0.01, ha="left", fontsize=12, fontweight="bold", color=INK)
        left, right = row.subplots(1, 2)
        _draw_loss(left, comparison)
        _draw_difference(right, comparison)
    return figure


def loss_figure(comparison: Comparison) -> "Figure":
    """Only the loss curves, small enough for a phone."""
    figure = _figure(*COMPACT)
    _draw_loss(figure.subplots(), comparison)
    return figure


def difference_figure(comparison: Comparison) -> "Figure":
    """Only the difference of the losses, small enough for a phone."""
    figure = _figure(*COMPACT)
    _draw_difference(figure.subplots(), comparison)
    return figure


def sweep_figure(sweeps: Sequence[Sweep]) -> "Figure":
    """One row per lesson and initialisation: last losses on the left, first epochs on the right.

    Raises:
        ValueError: no sweeps.
        ImportError: matplotlib is not installed.
    """
    if not sweeps:
        raise ValueError("nothing to plot: expected at least one sweep, got none")
    groups: dict[tuple[str, str], list[Sweep]] = {}
    for sweep in sorted(sweeps, key=lambda sweep: BACK_TO_FRONT.index(sweep.framework)):
        groups.setdefault((sweep.title, sweep.init), []).append(sweep)
    figure = _figure(9.6, 3.5 * len(groups))
    rows = figure.subfigures(len(groups), 1, squeeze=False)[:, 0]
    for row, ((title, init), group) in zip(rows, groups.items(), strict=True):
        counts = [
            f"{NAMES[sweep.framework]}: of {sweep.seeds} seeds {sweep.ever} ever correct, "
            f"{sweep.at_end} correct at the end"
            for sweep in reversed(group)
        ]
        heading = "\n".join([f"{title} · initialised as {init}", *counts])
        row.suptitle(heading, x=0.01, ha="left", fontsize=11, linespacing=1.4, color=INK)
        left, right = row.subplots(1, 2)
        _draw_last_losses(left, group)
        _draw_first_epochs(right, group)
    return figure


def save_figure(figure: "Figure", path: str | Path) -> None:
    """Write the figure in the format of the suffix: .png, .svg or .pdf. ValueError: any other."""
    check_figure_suffix(Path(path))
    figure.savefig(path, dpi=200)


def first_right(comparison: Comparison, framework: str) -> int | None:
    """The first epoch, from 1, whose string is the target; None if no epoch is."""
    predictions = comparison.predictions[framework]
    return predictions.index(comparison.target) + 1 if comparison.target in predictions else None


def _draw_loss(axes: "Axes", comparison: Comparison) -> None:
    epochs = np.arange(1, len(comparison.loss["jax"]) + 1)
    for framework, width in zip(BACK_TO_FRONT, (6.0, 1.4), strict=True):
        axes.plot(
            epochs,
            comparison.loss[framework],
            color=COLOURS[framework],
            linewidth=width,
            label=NAMES[framework],
            solid_capstyle="round",
            clip_on=False,
        )
    first = {framework: first_right(comparison, framework) for framework in BACK_TO_FRONT}
    for framework, size in zip(BACK_TO_FRONT, (13.0, 6.0), strict=True):
        if (epoch := first[framework]) is not None:
            loss = comparison.loss[framework][epoch - 1]
            axes.plot(epoch, loss, "o", color=COLOURS[framework], markersize=size, clip_on=False)
    axes.plot([], [], "o" if any(first.values()) else " ", color=JAX, label=_first_epochs(first))
    axes.set_ylim(bottom=0)
    _finish(axes, "epoch", "cross entropy (nats)")


def _first_epochs(first: dict[str, int | None]) -> str:
    ours, theirs = first["jax"], first["torch"]
    if ours == theirs:
        return "never correct" if ours is None else f"first correct: epoch {ours}"
    return f"first correct: JAX {ours or 'never'}, PyTorch {theirs or 'never'}"


def _draw_difference(axes: "Axes", comparison: Comparison) -> None:
    ours, theirs = (np.array(comparison.loss[framework]) for framework in ("jax", "torch"))
    epochs, gap = np.arange(1, len(ours) + 1), np.abs(ours - theirs)
    step = _rounding_step(ours, comparison.dtype)
    zero, positive = gap == 0, np.isfinite(gap) & (gap > 0)

    values = np.log10(np.concatenate([gap[positive], step[np.isfinite(step)]]))
    low, high = int(np.floor(values.min(initial=0))), int(np.ceil(values.max(initial=-20)))
    margin = 0.12 * (high - low)
    bottom = low - margin if zero.any() else low
    exponents = range(low, high + 1, max(1, round((high - low) / 5)))
    ticks = {10.0**k: f"10{str(k).translate(SUPERSCRIPTS)}" for k in exponents}
    if zero.any():
        ticks[10.0**bottom] = "0"

    line = np.where(positive, gap, np.nan)
    axes.set_yscale("log")
    axes.plot(epochs, line, ".-", color=INK, linewidth=0.9, markersize=3.5, label="difference")
    if zero.any():
        axes.plot(
            epochs[zero],
            np.full(zero.sum(), 10.0**bottom),
            "o",
            color=INK,
            fillstyle="none",
            markersize=4,
            clip_on=False,
            label=f"0 at {zero.sum()} epoch{'s' if zero.sum() > 1 else ''}",
        )
    axes.plot(epochs, step, ":", color=MUTED, label=f"{comparison.dtype} step")
    axes.set_yticks(list(ticks), list(ticks.values()))
    axes.minorticks_off()
    axes.set_ylim(10 ** (bottom - margin / 3), 10 ** (high + margin / 3))
    _finish(axes, "epoch", "|JAX − PyTorch| (nats)")


def _rounding_step(loss: np.ndarray, dtype: str) -> np.ndarray:
    """The distance from each loss to the next larger number of its dtype."""
    kind = np.dtype(dtype).type
    return np.spacing(np.maximum(loss.astype(kind), np.finfo(kind).eps)).astype(float)


def _draw_last_losses(axes: "Axes", sweeps: list[Sweep]) -> None:
    losses = [np.array(sweep.final_loss) for sweep in sweeps]
    finite = [loss[np.isfinite(loss)] for loss in losses]
    edges = np.histogram_bin_edges(np.concatenate(finite), bins=40)
    labels = [
        NAMES[sweep.framework]
        + (f" ({loss.size - kept.size} not finite)" if loss.size > kept.size else "")
        for sweep, loss, kept in zip(sweeps, losses, finite, strict=True)
    ]
    _histograms(axes, sweeps, finite, edges, labels)
    _finish(axes, f"cross entropy at epoch {sweeps[0].epochs} (nats)", "runs (%)")


def _draw_first_epochs(axes: "Axes", sweeps: list[Sweep]) -> None:
    reached = [np.array([e for e in sweep.first_epoch if e is not None]) for sweep in sweeps]
    epochs = max(sweep.epochs for sweep in sweeps)
    width = -(-epochs // 50)
    edges = np.arange(1, epochs + width + 1, width) - 0.5
    labels = [f"{NAMES[sweep.framework]} (never: {sweep.seeds - sweep.ever})" for sweep in sweeps]
    _histograms(axes, sweeps, reached, edges, labels)
    if not any(sample.size for sample in reached):
        axes.set_ylim(0, 1)
        axes.set_yticks([0])
        axes.text(epochs / 2, 0.5, "no run was ever correct", color=MUTED, ha="center")
    _finish(axes, "first epoch with all letters correct", "runs (%)")


def _histograms(
    axes: "Axes",
    sweeps: list[Sweep],
    samples: list[np.ndarray],
    edges: np.ndarray,
    labels: list[str],
) -> None:
    for sweep, sample, label in zip(sweeps, samples, labels, strict=True):
        share = 100 * np.histogram(sample, edges)[0] / sweep.seeds
        colour, behind = COLOURS[sweep.framework], sweep.framework == "torch"
        axes.stairs(share, edges, fill=behind, color=colour, linewidth=1.4, label=label)
    axes.set_ylim(bottom=0)


def _finish(axes: "Axes", xlabel: str, ylabel: str) -> None:
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


def _figure(width: float, height: float) -> "Figure":
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        message = f"figures need matplotlib, which is not installed: {how_to_install('plot')}"
        raise ImportError(message) from error
    return Figure((width, height), layout="constrained")
