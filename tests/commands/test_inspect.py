"""``jax-rnn inspect``: what the page and the figures show, and what is refused."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")

import jax.numpy as jnp
from flax import nnx

from jax_rnn.app import cli
from jax_rnn.cells import LSTMCell
from jax_rnn.lecture import open_run
from jax_rnn.lecture.inspect.figures import MAX_ROWS, letters_figure, visible
from jax_rnn.lecture.inspect.inside import Gate, look_inside
from jax_rnn.lecture.inspect.page import render_html
from jax_rnn.lecture.inspect.reading import LONGEST, Reading, own_text, read
from tests.kit import cases, normal, rngs

SMALL = "--steps 2 --batch-size 8 --hidden-size 3 --embedding-size 2 --window 5 --warmup 0"
TEXT = "to be or not to be, that is <the> question & $more$\n" * 30


def command(*words):
    """Exit code of a command."""
    try:
        cli.main([str(word) for word in words])
    except SystemExit as left:
        return left.code or 0
    return 0


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Runs of one or two steps."""
    made = tmp_path_factory.mktemp("runs")
    for name, options in {"ihello": ["--preset", "lstm"], "softmax": []}.items():
        assert command("train", name, *options, "--steps", 2, "--out", made / name) == 0
    return made


@pytest.fixture(scope="module")
def deep(folder):
    """A run of char_lm of two layers on a text with markup."""
    (folder / "text.txt").write_text(TEXT)
    words = f"train char_lm --num-layers 2 {SMALL} --evaluate-every 1 --out {folder / 'deep'}"
    assert command(*words.split(), "--text", folder / "text.txt") == 0
    return folder / "deep"


def letters_of(page):
    """Cell -> the text on its coloured backgrounds, and the activations."""
    found = {}
    for cell, block in re.findall(
        r'<h3>cell (\d+)</h3>\n<div class="text">(.*?)</div>', page, re.S
    ):
        letters = re.findall(r'<i class="(\w*)" title="(-?[\d.]+)">(.*?)</i>', block, re.S)
        found[int(cell)] = "".join(text for *_, text in letters), [float(v) for _, v, _ in letters]
    return found


def test_a_word_is_drawn_cell_by_cell_and_gate_by_gate(folder, tmp_path, capsys):
    page, out = tmp_path / "page.html", tmp_path / "a" / "figures"
    words = ("inspect", folder / "ihello", "--prompt", "hello", "--html", page, "--out", out)
    assert command(*words, "--cells", 3) == 0
    assert capsys.readouterr().out.count("written: ") == 5
    html = page.read_text()
    found = letters_of(html)
    assert len(found) == 3 and all(text == "hello" for text, _ in found.values())
    variances = [np.var(values) for _, values in found.values()]
    assert variances == sorted(variances, reverse=True) and variances[-1] > 0
    for words in ("LSTMCell with 5 cells", "tanh(c)", "5 letters", "Lyapunov", "spectral radius"):
        assert words in html
    for gate in "ifgo":
        assert f">gate {gate}</text>" in html and f'<th scope="row">{gate}</th>' in html
    assert not re.search(r"(src|href)=\"(?!#|data:)|url\((?!#)|@import|<script", html)
    drawings = re.findall("<svg.*?</svg>", html, re.S)
    assert len(drawings) == 3 and all(ElementTree.fromstring(svg) is not None for svg in drawings)
    names = {path.name for path in out.iterdir()}
    assert names == {"letters.png", "gates.png", "saturation.png", "gradient.png"}
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in out.iterdir())


def test_without_options_the_lessons_own_text_is_drawn_in_the_run(folder):
    assert command("inspect", folder / "ihello") == 0
    found = letters_of((folder / "ihello" / "inspect.html").read_text())
    assert {text for text, _ in found.values()} == {"hihell"}


REFUSED = [
    ("ihello --prompt hexlo", "--prompt: |'hielo'|got 'x'"),
    ("ihello --prompt=", "--prompt: |1 to 500|got none"),
    (f"ihello --prompt {'h' * (LONGEST + 1)}", "--prompt: |1 to 500|got 501"),
    ("softmax", "RUN: |recurrent layer|softmax"),
    ("ihello --layer 1", "--layer: |expected 0|got 1"),
    ("ihello --layer -1", "--layer: |got -1"),
    ("ihello --cells 0", "--cells: |1 to 32|got 0"),
    ("ihello --cells 33", "--cells: |1 to 32|got 33"),
    ("ihello --out ihello/config.json", "--out: |expected a folder|config.json"),
    ("ihello --out ihello/config.json/x", "--out: |writable folder|config.json"),
    ("none", "RUN: |folder of a run"),
    (".", "RUN: |folder of a run"),
]


@cases(("words", "named"), REFUSED, short=8)
def test_what_cannot_be_shown_is_refused(words, named, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    before = {*folder.rglob("*")}
    assert command("inspect", *words.split()) == 2
    message = " ".join(capsys.readouterr().err.split())
    assert message.startswith("error: ")
    assert [part for part in named.split("|") if part not in message] == []
    assert {*folder.rglob("*")} == before


@pytest.mark.long
@pytest.mark.parametrize("lesson", ["names", "seq2seq"])
def test_a_run_of_a_lesson_on_another_kind_of_data_is_refused(
    lesson, little_data, tmp_path, capsys
):
    words = SMALL.replace("--window 5", "").split()
    assert command("train", lesson, *words, "--out", tmp_path / "run") == 0
    assert command("inspect", tmp_path / "run") == 2
    assert f"e.g. ihello, got one of {lesson}" in flowing(capsys.readouterr().err)


def flowing(text):
    return " ".join(text.split())


@pytest.mark.long
def test_the_upper_layer_reads_the_outputs_of_the_lower_one(deep, close):
    opened = open_run(deep)
    model = opened.model()
    text = "to be <b>"[:5] + "\n"
    lower, upper = (read(opened, model, text, layer) for layer in (0, 1))
    assert lower.layers == upper.layers == 2 and upper.cell is model.rnn.cells[1]
    ids = [opened.vocabulary["symbols"].index(letter) for letter in text]
    y, h_n = model.rnn(model.embedding(jnp.array([ids])))
    close(look_inside(upper, text).values[-1], np.asarray(h_n[1, 0]), 1e-6)
    close(look_inside(lower, text).values[-1], np.asarray(h_n[0, 0]), 1e-6)
    close(look_inside(upper, text).values, np.asarray(y[0]), 1e-6)


@pytest.mark.long
def test_a_text_with_markup_is_escaped_and_the_held_out_text_is_the_default(deep, tmp_path):
    page = tmp_path / "page.html"
    prompt = "<the> & $more$\n"
    options = ("--layer", 1, "--html", page, "--checkpoint", "last")
    assert command("inspect", deep, "--prompt", prompt, *options) == 0
    html = page.read_text()
    assert "<the>" not in html and "layer 1 of 2" in html
    assert {text for text, _ in letters_of(html).values()} == {
        "&lt;the&gt; &amp; $more$↵\n",
    }
    assert command("inspect", deep, "--html", page) == 0
    own = own_text(open_run(deep))
    assert own in TEXT and f"{len(own)} letters" in page.read_text()
    assert "layer 0 of 2" in page.read_text()


@pytest.mark.long
def test_a_text_that_has_changed_asks_for_a_prompt(deep, capsys):
    (deep.parent / "text.txt").write_text(TEXT.upper())
    assert command("inspect", deep) == 2
    assert flowing(capsys.readouterr().err).startswith(
        "error: --prompt: expected a text to read, got none, and th"
    )
    assert command("inspect", deep, "--prompt", "be", "--html", deep.parent / "x.html") == 0
    (deep.parent / "text.txt").write_text(TEXT)


LESSONS = ["ihello_stepwise", "embedding", "rnn_by_hand", "gru_by_hand", "lstm_by_hand"]


@pytest.mark.long
@pytest.mark.parametrize("lesson", [*LESSONS, "long_sentence_windows"])
def test_every_lesson_on_a_word_is_shown(lesson, tmp_path):
    assert command("train", lesson, "--steps", 1, "--out", tmp_path / "run") == 0
    page = tmp_path / "page.html"
    assert command("inspect", tmp_path / "run", "--html", page, "--out", tmp_path) == 0
    html = page.read_text()
    assert ("Saturation" in html) == ("by_hand" not in lesson)
    assert ("Hidden maps" in html) == ("by_hand" not in lesson)
    assert (tmp_path / "gradient.png").exists()
    assert (tmp_path / "gates.png").exists() == ("by_hand" not in lesson)
    assert all(np.abs(values).max() <= 1 for _, values in letters_of(html).values())


def test_saturation_is_the_share_of_the_letters():
    gate = Gate("i", np.array([[0.05, 0.95], [0.5, 0.95], [0.05, 0.95], [0.05, 0.2]]), False)
    assert (gate.low.tolist(), gate.high.tolist()) == ([0.75, 0], [0, 0.75])
    gate = Gate("g", np.array([[-0.95, 0.95], [-0.85, 0.05]]), True)
    assert (gate.low.tolist(), gate.high.tolist()) == ([0.5, 0], [0, 0.5])


@pytest.mark.long
def test_many_cells_and_letters_that_no_font_has(recwarn):
    cell = LSTMCell(2, MAX_ROWS + 3, rngs=rngs())
    text = "\t\x01漢\ud800$" + "x" * 95
    inside = look_inside(Reading(cell, jnp.asarray(normal(100, 1, 2), jnp.float32), 1), text)
    html = render_html(inside, title="<title>", cells=2)
    assert f"the {MAX_ROWS} cells of the highest variance" in html and "&lt;title&gt;" in html
    assert {letters[:5] for letters, _ in letters_of(html).values()} == {"→�漢�$"}
    assert len(letters_figure(inside, 2).axes) == 2
    assert [visible(letter) for letter in "\na "] == ["↵", "a", " "]
    assert not [warning for warning in recwarn if "Glyph" in str(warning.message)]


@pytest.mark.long
def test_a_model_that_has_diverged_is_refused():
    cell = LSTMCell(2, 3, rngs=nnx.Rngs(0))
    cell.weight_ih[...] = jnp.full((12, 2), jnp.nan)
    with pytest.raises(ValueError, match="diverged"):
        look_inside(Reading(cell, jnp.ones((4, 1, 2)), 1), "abcd")
