"""Figures and the page show all of the data, once and escaped."""

import re
import sys
from dataclasses import replace
from functools import partial
from html.parser import HTMLParser
from importlib import reload
from io import StringIO
from itertools import pairwise

import numpy as np
import pytest
from rich.console import Console

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")

from jax_rnn.base.extras import how_to_install
from jax_rnn.base.figures import save_figure
from jax_rnn.lecture.compare import plots
from jax_rnn.lecture.compare.comparison import Comparison
from jax_rnn.lecture.compare.console import (
    LABEL,
    StepTable,
    print_comparison,
    print_overview,
    print_sweeps,
)
from jax_rnn.lecture.compare.parity import StepPair
from jax_rnn.lecture.compare.plots import (
    comparison_figure,
    difference_figure,
    first_right,
    sweep_figure,
)
from jax_rnn.lecture.compare.report import headline, render_html, write_html
from jax_rnn.lecture.compare.sweep import Sweep
from jax_rnn.lecture.lessons.names import plot_confusion
from jax_rnn.testing import Rung
from tests.kit import cases, refusals, refused

OURS = [1.75, 1.25, 0.875, 0.5]
THEIRS = [1.75, 1.25001, 0.8750003, 0.5]
MARKUP = "<b>&"
BOTH = ("jax", "torch")
NONE = {"jax": [], "torch": []}
VOID = {"meta", "link", "br", "hr", "img", "input"}


def of_both(value) -> dict:
    """The same of both frameworks."""
    return dict.fromkeys(BOTH, value)


def trained(**changes) -> Comparison:
    one = Comparison(
        lesson="ihello",
        preset=None,
        dtype="float32",
        seed=3,
        steps=4,
        recipe={},
        dropout=0.0,
        target=MARKUP,
        loss={"jax": OURS, "torch": THEIRS},
        predictions={
            "jax": ["<b<&", "<i>&", MARKUP, MARKUP],
            "torch": ["<b<&", "   ", "<i>&", MARKUP],
        },
        max_abs_loss_difference=1.0e-5,
        max_abs_gradient_difference=2.3e-8,
        max_abs_weight_difference=4.7e-4,
        predictions_equal=2,
        figures=of_both({}),
        max_abs_figure_difference=None,
        shapes={
            "input": of_both([(1, 6, 5)]),
            "output": {"jax": [(1, 6, 7)], "torch": [(1, 6, 8)]},
            "hidden": of_both([(1, 1, 9), (1, 1, 3)]),
        },
        max_abs_value_difference={"output": 6.1e-8, "hidden": 0.0},
        seconds={
            "jax": {"import": None, "compile": 0.625, "run": 0.00165},
            "torch": {"import": 1.37, "run": 3.5},
        },
        environment={"jax": "0.10.2", "processor": "A & B <c>"},
    )
    return replace(one, **changes)


def untrained(**changes) -> Comparison:
    largest = (f"max_abs_{kind}_difference" for kind in ("loss", "gradient", "weight"))
    empty = {"loss": NONE, "predictions": NONE, "predictions_equal": 0, "steps": 0, "target": None}
    seconds = of_both({"import": None})
    given = dict.fromkeys(largest) | empty | {"seconds": seconds, "lesson": "batch"}
    return trained(**given | changes)


def on_data() -> Comparison:
    """A lesson on a data set: no strings, but figures on held-out data, and no state."""
    shapes = {"input": [(4, 6), (4,)], "output": [(4, 18)], "hidden": []}
    return trained(
        lesson="names",
        rungs=[Rung("forward", True, 0.0, 1e-5, "1 compared")],
        dropout=0.3,
        target=None,
        predictions=NONE,
        predictions_equal=0,
        figures={"jax": {"loss": 2.5, "accuracy": 0.25}, "torch": {"loss": 2.5, "accuracy": 0.5}},
        max_abs_figure_difference=0.25,
        shapes={part: of_both(value) for part, value in shapes.items()},
        seconds={
            "jax": {"import": None, "compile": 0.625, "run": 0.00165, "evaluate": 0.75},
            "torch": {"import": 1.37, "run": 3.5, "evaluate": 0.25},
        },
    )


def sweep(framework, **changes) -> Sweep:
    one = Sweep(
        lesson="ihello",
        preset="gru",
        framework=framework,
        init="torch",
        seeds=4,
        steps=100,
        ever=3,
        at_end=2,
        median_first_epoch=12.0,
        median_stable_epoch=40.0,
        loss={"min": 0.45, "median": 0.5, "max": 0.9},
        seconds=1.0,
        first_epoch=[12, None, 12, 90],
        stable_from=[40, None, 40, None],
        final_loss=[0.45, 0.9, 0.5, 0.5],
        figures={"accuracy": [1.0, 0.5, 1.0, 0.8]},
    )
    return replace(one, **changes)


def printed(width, *shown, terminal=False) -> str:
    """What a console of that width prints of pairs (function, argument)."""
    console = Console(file=StringIO(), width=width, force_terminal=terminal)
    for show, argument in shown:
        show(console, argument)
    return console.file.getvalue()


class Page(HTMLParser):
    """A parsed page; every element must be closed in order."""

    def __init__(self, html: str):
        super().__init__()
        self.html, self.open = html, []
        self.tags, self.attributes, self.text = [], [], []
        self.rows: list[list[str]] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)
        if "td" in self.open or "th" in self.open:
            self.rows[-1][-1] += data

    def values(self, name: str) -> list[str]:
        return [value for _, key, value in self.attributes if key == name]

    def row(self, name: str) -> list[str]:
        """The cells after the first, of the one row that starts with ``name``."""
        (row,) = (row for row in self.rows if row[0].split() == name.split())
        return [" ".join(cell.split()) for cell in row[1:]]


def page_of(*comparisons) -> Page:
    return Page(render_html([*comparisons]))


@pytest.fixture(scope="module")
def page() -> Page:
    return page_of(trained())


@pytest.fixture(scope="module")
def page_of_three() -> Page:
    return page_of(trained(), untrained(), trained(preset="lstm", dtype="float64"))


def line(axes, label: str) -> np.ndarray:
    (found,) = (line for line in axes.lines if line.get_label() == label)
    return np.column_stack(found.get_data())


def stairs(patch) -> tuple[np.ndarray, np.ndarray]:
    values, edges, _ = patch.get_data()
    return values, edges


def test_both_curves_and_their_difference_are_drawn():
    figure = comparison_figure([untrained(), trained(), trained(seed=4)])
    assert [axes.get_xlabel() for axes in figure.axes] == ["epoch"] * 4
    loss, difference = figure.axes[:2]
    assert line(loss, "JAX").tolist() == [[k, x] for k, x in enumerate(OURS, 1)]
    assert line(loss, "PyTorch").tolist() == [[k, x] for k, x in enumerate(THEIRS, 1)]
    widths = {line.get_label(): line.get_linewidth() for line in loss.lines}
    assert widths["PyTorch"] > 3 * widths["JAX"]
    drawn = line(difference, "difference")[:, 1]
    np.testing.assert_array_equal(drawn[1:3], np.abs(np.subtract(OURS, THEIRS))[1:3])
    assert difference.get_yscale() == "log"
    headings = [row.get_suptitle() for row in figure.subfigs]
    assert headings == ["ihello · float32 · seed 3", "ihello · float32 · seed 4"]


def test_first_right_epochs_are_marked_and_ticks_are_at_whole_steps():
    figure = comparison_figure([trained()])
    lines = figure.axes[0].lines
    marks = [np.column_stack(x.get_data()).tolist() for x in lines if x.get_marker() == "o"]
    assert marks == [[[4, THEIRS[3]]], [[3, OURS[2]]], []]
    assert "first correct: JAX 3, PyTorch 4" in [line.get_label() for line in lines]
    assert all(tick == int(tick) for axes in figure.axes for tick in axes.get_xticks())
    never = trained(predictions=of_both([""] * 4))
    assert first_right(never, "jax") is None
    labels = [line.get_label() for line in comparison_figure([never]).axes[0].lines]
    assert "never correct" in labels


def test_exact_zeros_stand_on_a_tick_of_their_own():
    axes = difference_figure(trained()).axes[0]
    zeros = line(axes, "0 at 2 epochs")
    assert zeros[:, 0].tolist() == [1, 4]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    ticks = dict(zip(labels, axes.get_yticks(), strict=True))
    assert set(zeros[:, 1]) == {ticks["0"]}
    assert np.isnan(line(axes, "difference")[[0, 3], 1]).all()
    assert axes.get_ylim()[0] < ticks["0"] < np.spacing(np.float32(0.5))


@cases("dtype", ["float32", "float64"], short=1)
@pytest.mark.parametrize(
    "theirs", [OURS, [1.75, np.nan, np.inf, 0.5], [0.0] * 4], ids=["equal", "not finite", "zero"]
)
def test_odd_losses_can_be_drawn(tmp_path, dtype, theirs):
    odd = trained(dtype=dtype, loss={"jax": OURS if any(theirs) else theirs, "torch": theirs})
    figure = comparison_figure([odd])
    save_figure(figure, tmp_path / "odd.png")
    low, high = figure.axes[1].get_ylim()
    assert 0 < low < high < np.inf
    assert "0" in [label.get_text() for label in figure.axes[1].get_yticklabels()]


def test_the_confusion_matrix_has_a_white_border(tmp_path):
    """What is cut off touches the border."""
    from matplotlib.image import imread

    languages = [f"Language {k}" for k in range(18)]
    plot_confusion(np.eye(18), languages, tmp_path / "confusion.png")
    image = imread(tmp_path / "confusion.png")[..., :3]
    assert all((edge == 1).all() for edge in (image[0], image[-1], image[:, 0], image[:, -1]))


test_what_cannot_be_shown_is_refused = refusals(
    [
        (lambda: comparison_figure([untrained()]), ValueError, "comparisons: expected one of a"),
        (lambda: sweep_figure([]), ValueError, "sweeps: expected at least one"),
        (lambda: render_html([]), ValueError, "comparisons: expected at least one"),
    ]
)


@pytest.mark.parametrize("name", ["figure.jpg", "figure"])
def test_other_suffixes_are_refused(tmp_path, name):
    save = partial(save_figure, difference_figure(trained()), tmp_path / name)
    refused(ValueError, ".png, .svg or .pdf", save)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("suffix", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("PDF", b"%PDF")]
)
def test_the_suffix_says_the_format(tmp_path, suffix, start):
    path = tmp_path / f"figure.{suffix}"
    save_figure(difference_figure(trained()), path)
    assert path.read_bytes().startswith(start)


def test_sweeps_of_both_frameworks_share_a_row():
    other = sweep("torch", seeds=2, ever=1, at_end=0, first_epoch=[50, None], final_loss=[0.5, 0.7])
    figure = sweep_figure([sweep("jax"), other, sweep("jax", init="zeros")])
    assert len(figure.axes) == 4
    heading = figure.subfigs[0].get_suptitle()
    assert "ihello (gru)" in heading
    assert "JAX: 3 of 4 seeds correct at some epoch, 2 at the last" in heading
    assert "PyTorch: 1 of 2 seeds correct at some epoch, 0 at the last" in heading

    (their_loss, _), (our_loss, _) = map(stairs, figure.axes[0].patches)
    assert (our_loss.sum(), their_loss.sum()) == pytest.approx((100, 100))
    (theirs, edges), (ours, _) = map(stairs, figure.axes[1].patches)
    assert (ours.sum(), theirs.sum()) == pytest.approx((75, 50))
    assert ours[np.searchsorted(edges, 12) - 1] == 50
    assert theirs[np.searchsorted(edges, 50) - 1] == 50
    labels = [p.get_label() for p in figure.axes[1].patches]
    assert labels == ["PyTorch (never: 1)", "JAX (never: 1)"]


def test_sweeps_without_success_or_with_infinite_losses():
    failed = sweep("jax", ever=0, first_epoch=[None] * 4, final_loss=[0.5, 0.5, np.inf, np.nan])
    last, first = sweep_figure([failed]).axes
    assert [p.get_label() for p in last.patches] == ["JAX (2 not finite)"]
    assert [text.get_text() for text in first.texts] == ["no run was ever correct"]


def test_the_page_is_complete_in_itself(page_of_three):
    tags, ids = page_of_three.tags, page_of_three.values("id")
    assert tags.count("h1") == 1
    assert tags.count("svg") == tags.count("figure") == 4
    assert len(ids) == len(set(ids)) > 100
    assert not {"script", "link", "img", "iframe"} & set(tags)
    assert page_of_three.values("src") == []
    references = page_of_three.values("href")
    references += [f"#{name}" for name in re.findall(r"url\(#?([^)]*)\)", page_of_three.html)]
    assert len(references) > 50
    assert {reference[1:] for reference in references} <= set(ids)
    assert "http" not in page_of_three.html


def test_headings_and_tables_can_be_read_aloud(page_of_three):
    levels = [int(tag[1]) for tag in page_of_three.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert ("html", "lang", "en") in page_of_three.attributes
    assert page_of_three.tags.count("title") == 1
    assert page_of_three.tags.count("th") == len(page_of_three.values("scope"))
    labelled = [tag for tag, name, _ in page_of_three.attributes if name == "aria-label"]
    assert labelled.count("figure") == page_of_three.tags.count("figcaption") == 4


def test_the_headline_says_the_result():
    strings = "the strings are equal at"
    largest = "largest loss difference 1.0e-05"
    assert headline([trained()]) == f"ihello: {largest} over 4 epochs; {strings} 2 of 4 epochs"
    assert headline([untrained()]) == "batch: largest difference of outputs and states 6.1e-08"
    worse = trained(preset="lstm", max_abs_loss_difference=0.25)
    assert headline([trained(), worse, untrained()]) == (
        "3 comparisons: largest loss difference 2.5e-01 (ihello (lstm), float32) over 4 epochs "
        f"each; {strings} 4 of 8 epochs"
    )
    assert headline([on_data(), trained()]) == (
        f"2 comparisons: {largest} (names, float32) over 4 steps each; {strings} 2 of 4 epochs"
    )


def test_numbers_are_those_of_the_data(page):
    expected = {
        "output, initial weights": ["6.1e-08"],
        "hidden state, initial weights": ["0"],
        "gradient, initial weights": ["2.3e-08"],
        "loss, any epoch": ["1.0e-05"],
        "weight, after the last epoch": ["4.7e-04"],
        "epochs with equal strings": ["2 of 4"],
        "output": ["(1, 6, 7)", "(1, 6, 8)"],
        "hidden": ["(1, 1, 9) and (1, 1, 3)"] * 2,
        "JAX": ["0.6250", "0.0016"],
        "PyTorch": ["–", "3.5000"],
        "import of PyTorch": ["1.37 s"],
        "processor": ["A & B <c>"],
    }
    assert {name: page.row(name) for name in expected} == expected


def test_every_epoch_has_its_strings_and_losses(page):
    one, two, three, four = (page.row(str(number)) for number in range(1, 5))
    assert one == ["<b<&", "<b<&", "equal", "1.7500000", "1.7500000", "0"]
    assert two == ["<i>&", "3 spaces", "different", "1.2500000", "1.2500100", "1.0e-05"]
    assert three[:3] == [MARKUP, "<i>&", "correct in JAX only"]
    assert three[3:] == ["0.8750000", "0.8750003", "3.0e-07"]
    assert four == [MARKUP, MARKUP, "equal and correct", "0.5000000", "0.5000000", "0"]
    assert page.html.count("&lt;<mark>b</mark>&gt;&amp;") == 1
    assert page.html.count('<tr class="differs">') == 2
    assert page.html.count('<tr class="right">') == 1


def test_a_long_string_that_both_predict_is_printed_once():
    text = "x" * 179
    page = page_of(trained(target=text, predictions=of_both([text] * 4), predictions_equal=4))
    assert page.row("2") == [text, "equal and correct", "1.2500000", "1.2500100", "1.0e-05"]
    assert page.html.count(text) == 5


def test_several_comparisons_start_with_a_table_of_links(page_of_three):
    rows = [row for row in page_of_three.rows if len(row) == 6 and "seed 3" in row[0]]
    assert [row[0].split("\n")[0] for row in rows] == ["ihello", "batch", "ihello (lstm)"]
    assert [row[1] for row in rows] == ["2 of 4", "not trained", "2 of 4"]
    assert [row[2] for row in rows] == ["1.0e-05", "–", "1.0e-05"]
    links = [value for tag, name, value in page_of_three.attributes if (tag, name) == ("a", "href")]
    assert links == ["#comparison-1", "#comparison-2", "#comparison-3"]


def test_the_ladder_shows_every_rung_and_what_was_seen_where_it_fails():
    seen = "h parts first at (0, 2): 0.5 <b>"
    rungs = [
        Rung("parameter names", True, None, None, "4 names"),
        Rung("forward", True, 1.2e-7, 1e-5, "1 compared, largest difference 1.2e-07"),
        Rung("final carry", False, 0.5, 1e-5, seen),
    ]
    page = page_of(trained(rungs=rungs))
    assert page.row("parameter names") == ["yes", "–", "–", "4 names"]
    assert page.row("forward") == ["yes", "1.2e-07", "1.0e-05", "1 compared"]
    assert page.row("final carry") == ["no", "5.0e-01", "1.0e-05", seen]
    said = f"parity ladder        fails at final carry: {seen}\n"
    assert said in printed(200, (print_comparison, trained(rungs=rungs)))


def test_a_lesson_on_data_has_figures_and_no_strings():
    page = page_of(on_data())
    assert headline([on_data()]) == "names: largest loss difference 1.0e-05 over 4 steps"
    expected = {
        "accuracy": ["0.250000", "0.500000"],
        "held-out figure, after the last step": ["2.5e-01"],
        "input": ["(4, 6) and (4,)"] * 2,
        "hidden state, initial weights": ["none"],
        "JAX": ["0.6250", "0.0016", "0.7500"],
        "2": ["1.2500000", "1.2500100", "1.0e-05"],
    }
    assert {name: page.row(name) for name in expected} == expected
    text = " ".join(page.html.split())
    assert "dropout is 0 instead of 0.3" in text
    assert "predicts" not in text and "letters" not in text and "epoch" not in text
    axes = comparison_figure([on_data()]).axes
    assert [part.get_xlabel() for part in axes] == ["step", "step"]
    assert {line.get_label() for line in axes[0].lines} == {"JAX", "PyTorch"}
    shown = (print_comparison, on_data()), (print_overview, [on_data(), trained()])
    found = printed(100, *shown)
    assert "held out, accuracy" in found and "held-out figures 2.5e-01" in found
    assert "dropout is 0 instead of the preset's 0.3" in found
    assert "strings  " not in found.split("largest differences, float32")[0]


def test_a_sweep_on_data_shows_its_held_out_losses():
    letters = dict.fromkeys(("ever", "at_end", "median_first_epoch", "median_stable_epoch"))
    letters |= {"first_epoch": [], "stable_from": []}
    figures = {"loss": [0.75, 0.5, 0.5, 0.25], "accuracy": [0.5, 0.5, 0.75, 0.5]}
    both = [sweep(side, figures=figures, **letters) for side in BOTH]
    figure = sweep_figure(both)
    assert figure.axes[1].get_xlabel() == "held-out loss at the end (nats)"
    values, _ = stairs(figure.axes[1].patches[0])
    assert values.sum() == pytest.approx(100)
    assert "JAX: median of the last losses 0.5000, 4 seeds" in figure.subfigs[0].get_suptitle()
    found = printed(100, (print_sweeps, both))
    assert "letters" not in found
    assert " ".join(found.split()).count("held out, accuracy, max 0.7500 0.7500") == 1


def show_table(pair, console, target):
    with StepTable(console, steps=1, target=target) as table:
        table(pair)


@pytest.mark.parametrize("terminal", [True, False])
def test_the_table_of_epochs_ends_its_last_line(terminal):
    """The text after it starts on a new line, on a terminal and in a file."""
    table = partial(show_table, StepPair(1, (1.5, 1.5), ("ihello", "ihello")))
    shown = (table, "ihello"), (Console.print, "what follows")
    *_, last, follows, _ = printed(200, *shown, terminal=terminal).split("\n")
    assert "ihello" in last and follows.endswith("what follows")


@pytest.mark.parametrize("width", [80, 120])
def test_tables_keep_their_numbers_and_shorten_the_strings(width):
    table = partial(show_table, StepPair(1, (1.5, 1.25), ("x" * 180, "y" * 180)))
    comparisons = [trained(lesson="long_sentence_windows"), untrained()]
    lines = printed(width, (table, "x" * 180), (print_overview, comparisons)).splitlines()
    assert max(map(len, lines)) <= width
    header, row, *overview = lines
    assert header.split()[:6] == ["epoch", "loss", "JAX", "loss", "PyTorch", "difference"]
    assert row.split()[:4] == ["1", "1.500000", "1.250000", "2.5e-01"] and row.count("…") == 2
    words = ["seed", "loss", "gradients", "weights", "outputs", "equal", "strings"]
    assert any(line.split()[1:] == words for line in overview)


def test_lines_below_the_tables_are_broken_between_words():
    rungs = [Rung(f"rung number {k}", True, 0.0, 1e-5, "") for k in range(9)]
    lines = printed(80, (print_comparison, trained(rungs=rungs))).splitlines()
    assert max(map(len, lines)) <= 80
    start = next(k for k, line in enumerate(lines) if line.startswith("parity ladder"))
    text = " ".join(line.strip() for line in lines[start:])
    assert text.endswith(", ".join(f"rung number {k}" for k in range(9)))
    assert all(line.startswith(" " * LABEL) for line in lines[start + 1 :])


def test_what_holds_for_all_comparisons_is_said_once():
    rungs = [Rung("forward", True, 1.2e-7, 1e-5, "")]
    page = page_of(trained(rungs=rungs), on_data(), trained(steps=2, rungs=rungs))
    for text in (
        "import of PyTorch",
        "The rungs are checked",
        "divides each",
        "to the next larger",
    ):
        assert page.html.count(text) == 1
    assert "over 2 to 4 steps each" in page.html


def test_a_table_that_is_cut_off_shows_a_shadow():
    """As in the card that it is in: over its ends the background moves with the table."""
    css = render_html([trained()]).split("</style>")[0]
    rule = css[css.index(".scroll, .strings {") :].partition("}")[0]
    assert rule.count("no-repeat local") == rule.count("var(--shade)") == 2


def test_environments_that_differ_stand_each_with_its_comparison():
    alike = page_of(untrained(), untrained())
    apart = page_of(untrained(), untrained(environment={"jax": "0.11.0"}))
    versions = [[row[1] for row in page.rows if row[0] == "jax"] for page in (alike, apart)]
    assert versions == [["0.10.2"], ["0.10.2", "0.11.0"]]


def test_a_page_is_written_in_utf8(tmp_path):
    path = tmp_path / "report.html"
    write_html(path, [untrained()])
    assert path.read_text(encoding="utf-8") == render_html([untrained()])


def test_what_is_missing_is_named(monkeypatch):
    for module in ("matplotlib", "matplotlib.figure", "jinja2"):
        monkeypatch.setitem(sys.modules, module, None)
    reload(plots)
    refused(ImportError, how_to_install("plot"), lambda: comparison_figure([trained()]))
    refused(ImportError, how_to_install("plot"), lambda: sweep_figure([sweep("jax")]))
    refused(ImportError, "jinja2|pip install", lambda: render_html([untrained()]))
