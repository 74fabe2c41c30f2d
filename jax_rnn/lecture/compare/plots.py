"""Plots of comparisons: the loss curves of both frameworks and their difference."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from jax_rnn.base.figures import COLOURS, INK, JAX, MUTED, TORCH, figure_of, finish
from jax_rnn.lecture.compare.comparison import DISTRIBUTIONS, Comparison, counted, title_of
from jax_rnn.lecture.compare.sweep import Sweep

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "comparison_figure",
    "difference_figure",
    "first_right",
    "loss_figure",
    "sweep_figure",
]

SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
COMPACT = (4.6, 2.9)


def comparison_figure(comparisons: Sequence[Comparison]) -> "Figure":
    """One row per comparison that trained: losses on the left, their difference on the right.

    Raises:
        ValueError: no comparison trained.
        ModuleNotFoundError: matplotlib is not installed.
    """
    trained = [comparison for comparison in comparisons if comparison.steps]
    if not trained:
        raise ValueError("comparisons: expected one of a lesson that trains, got none")
    figure = figure_of(9.6, 2.9 * len(trained))
    rows = figure.subfigures(len(trained), 1, squeeze=False)[:, 0]
    for row, comparison in zip(rows, trained, strict=True):
        heading = f"{comparison.title} · {comparison.dtype} · seed {comparison.seed}"
        row.suptitle(heading, x=0.01, ha="left", fontsize=12, fontweight="bold", color=INK)
        left, right = row.subplots(1, 2)
        _plot_loss(left, comparison)
        _plot_difference(right, comparison)
    return figure


def loss_figure(comparison: Comparison) -> "Figure":
    """Only the loss curves, small enough for a phone."""
    figure = figure_of(*COMPACT)
    _plot_loss(figure.subplots(), comparison)
    return figure


def difference_figure(comparison: Comparison) -> "Figure":
    """Only the difference of the losses, small enough for a phone."""
    figure = figure_of(*COMPACT)
    _plot_difference(figure.subplots(), comparison)
    return figure


def sweep_figure(sweeps: Sequence[Sweep]) -> "Figure":
    """One row per lesson and initialisation: last losses on the left, on the right first epochs,
    or held-out losses in a lesson on a data set.

    Raises:
        ValueError: no sweeps.
        ModuleNotFoundError: matplotlib is not installed.
    """
    if not sweeps:
        raise ValueError("sweeps: expected at least one, got none")
    groups: dict[tuple[str, str], list[Sweep]] = {}
    for sweep in sorted(sweeps, key=lambda sweep: sweep.framework, reverse=True):
        groups.setdefault((sweep.title, sweep.init), []).append(sweep)
    figure = figure_of(9.6, 3.5 * len(groups))
    rows = figure.subfigures(len(groups), 1, squeeze=False)[:, 0]
    for row, ((title, init), group) in zip(rows, groups.items(), strict=True):
        first = f"{title} · initial weights as in {DISTRIBUTIONS.get(init, init)}"
        heading = "\n".join([first, *map(_counts, reversed(group))])
        row.suptitle(heading, x=0.01, ha="left", fontsize=11, linespacing=1.4, color=INK)
        left, right = row.subplots(1, 2)
        unit = "epoch" if group[0].first_epoch else "step"
        last = [sweep.final_loss for sweep in group]
        _plot_losses(left, group, last, f"cross entropy at {unit} {group[0].steps} (nats)")
        if group[0].first_epoch:
            _plot_first_epochs(right, group)
        else:
            held_out = [sweep.figures["loss"] for sweep in group]
            _plot_losses(right, group, held_out, "held-out loss at the end (nats)")
    return figure


def _counts(sweep: Sweep) -> str:
    name, runs = title_of(sweep.framework), counted(sweep.seeds, "seed")
    if sweep.ever is None:
        return f"{name}: median of the last losses {sweep.loss['median']:.4f}, {runs}"
    return f"{name}: {sweep.ever} of {runs} correct at some epoch, {sweep.at_end} at the last"


def first_right(comparison: Comparison, framework: str) -> int | None:
    """The first epoch, from 1, whose string is the target; None if there is none."""
    predictions = comparison.predictions[framework]
    return predictions.index(comparison.target) + 1 if comparison.target in predictions else None


def _plot_loss(axes: "Axes", comparison: Comparison) -> None:
    ours, theirs = comparison.frameworks
    back_to_front = ((theirs, TORCH, 6.0, 13.0), (ours, JAX, 1.4, 6.0))
    for framework, colour, width, _ in back_to_front:
        losses = comparison.loss[framework]
        axes.plot(
            np.arange(1, len(losses) + 1),
            losses,
            color=colour,
            linewidth=width,
            label=title_of(framework),
            solid_capstyle="round",
            clip_on=False,
        )
    if comparison.target is not None:
        first = {name: first_right(comparison, name) for name in (ours, theirs)}
        for framework, colour, _, size in back_to_front:
            if (epoch := first[framework]) is not None:
                loss = comparison.loss[framework][epoch - 1]
                axes.plot(epoch, loss, "o", color=colour, markersize=size, clip_on=False)
        mark = "o" if any(first.values()) else " "
        axes.plot([], [], mark, color=JAX, label=_first_epochs(first))
    axes.set_ylim(bottom=0)
    axes.locator_params(axis="x", integer=True)
    finish(axes, comparison.unit, "loss (nats)")


def _first_epochs(first: dict[str, int | None]) -> str:
    if len({*first.values()}) == 1:
        epoch = next(iter(first.values()))
        return "never correct" if epoch is None else f"first correct: epoch {epoch}"
    each = (f"{title_of(name)} {epoch or 'never'}" for name, epoch in first.items())
    return f"first correct: {', '.join(each)}"


def _plot_difference(axes: "Axes", comparison: Comparison) -> None:
    ours, theirs = (np.array(comparison.loss[framework]) for framework in comparison.frameworks)
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
            label=f"0 at {counted(int(zero.sum()), comparison.unit)}",
        )
    axes.plot(epochs, step, ":", color=MUTED, label=f"{comparison.dtype} spacing")
    axes.set_yticks(list(ticks), list(ticks.values()))
    axes.minorticks_off()
    axes.set_ylim(10 ** (bottom - margin / 3), 10 ** (high + margin / 3))
    titles = " − ".join(map(title_of, comparison.frameworks))
    axes.locator_params(axis="x", integer=True)
    finish(axes, comparison.unit, f"|{titles}| (nats)")


def _rounding_step(loss: np.ndarray, dtype: str) -> np.ndarray:
    """The distance from each loss to the next larger number of its dtype."""
    kind = np.dtype(dtype).type
    return np.spacing(np.maximum(loss.astype(kind), np.finfo(kind).eps)).astype(float)


def _plot_losses(
    axes: "Axes", sweeps: list[Sweep], losses: Sequence[Sequence[float]], label: str
) -> None:
    finite = [np.array([loss for loss in part if np.isfinite(loss)]) for part in losses]
    edges = np.histogram_bin_edges(np.concatenate(finite), bins=40)
    labels = []
    for sweep, kept in zip(sweeps, finite, strict=True):
        missing = sweep.seeds - kept.size
        labels.append(title_of(sweep.framework) + (f" ({missing} not finite)" if missing else ""))
    _histograms(axes, sweeps, finite, edges, labels)
    finish(axes, label, "runs (%)")


def _plot_first_epochs(axes: "Axes", sweeps: list[Sweep]) -> None:
    reached = [np.array([e for e in sweep.first_epoch if e is not None]) for sweep in sweeps]
    epochs = max(sweep.steps for sweep in sweeps)
    width = -(-epochs // 50)
    edges = np.arange(1, epochs + width + 1, width) - 0.5
    labels = [
        f"{title_of(sweep.framework)} (never: {sweep.first_epoch.count(None)})" for sweep in sweeps
    ]
    _histograms(axes, sweeps, reached, edges, labels)
    if not any(sample.size for sample in reached):
        axes.set_ylim(0, 1)
        axes.set_yticks([0])
        axes.text(epochs / 2, 0.5, "no run was ever correct", color=MUTED, ha="center")
    finish(axes, "first epoch with all letters correct", "runs (%)")


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
