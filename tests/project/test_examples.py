"""The code in the documents runs as it is shown."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit import CODE, cases, environment, run_page

pytest.importorskip("torch")

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.S)

PRINTS = {
    "gradients_through_time": r"x 0\.5 .* 0\.4\d\n(.*\n)*.* x 2 .* 1\.1\d\n(.*\n)*GRU",
    "gradients_through_time_torch": r"x 0\.5 .* 0\.4\d\n(.*\n)*.* x 2 .* 1\.1\d\n(.*\n)*GRU",
    "guide": r"PacedCell: 21 checks passed\nClockCell: 21 checks passed",
    "guide_elsewhere": r"jax_rnn +9 +11 +1 .*\nflax.nnx .*\nEquinox .*\nHaiku .*\ntorch ",
    "ihello": r"epoch: 100, loss: 0\.4\d+, predicted string: ihello",
    "ihello_torch": r"epoch: 100, loss: 0\.458, predicted string: ihello",
    "many_devices": r"8 x cpu: .*\nlargest difference of the losses: \d\.\de-(0[6-9]|1)",
    "many_seeds": r"RNN +ever +\d+ +at epoch 100 +\d+",
    "quickstart": r"epoch 100 +loss 0\.\d+ +ihello",
    "ragged_sequences": r"epoch 5 +accuracy 0\.9.*\nheld out +accuracy 0\.9",
    "sharded_time": r"8 x cpu: .* on each device \(1024, 2, 32\)\n(.*\n)*.* input: \d\.\de-",
    "torch_weights": r"JAX, same weights: +(\S+)",
    "your_own_text": r"step 400  loss 0\.\d+.*\n(.*\n)*sample: .*\S",
    "your_own_cell": r"epoch: 100, loss: 0\.000, predicted string: ihello",
}


def run(*arguments: str, folder: Path) -> str:
    """Python in a folder of its own, on one device, as a user has it."""
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@cases("path", EXAMPLES, ids=lambda path: path.stem, short=0)
def test_every_example_runs_and_prints_what_it_promises(path, tmp_path):
    assert re.search(PRINTS[path.stem], run(str(path), folder=tmp_path))


@pytest.mark.long
def test_weights_from_torch_give_torchs_loss_in_the_example(tmp_path):
    printed = run(str(ROOT / "examples" / "torch_weights.py"), folder=tmp_path)
    trained, same, more, back = (float(x) for x in re.findall(r": +(\d\.\d+)", printed))
    assert abs(trained - same) < 2e-6
    assert abs(more - back) < 2e-6
    assert more < same


@cases("block", BLOCKS, short=1, ids=lambda block: block.strip().splitlines()[-1][:40])
def test_every_block_of_the_readme_runs(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "README.md", "exec"), {"__name__": "__main__"})


def test_the_readme_shows_the_quickstart():
    assert len(BLOCKS) == 4
    assert BLOCKS[0] == (ROOT / "examples" / "quickstart.py").read_text()


def test_the_readme_lists_every_lesson_and_links_only_to_what_is_there():
    from jax_rnn.lecture.lessons import DATA_SETS, WORDS

    assert re.findall(r"\| \[`(\w+)`\]", README) == [*WORDS, *DATA_SETS]
    for link in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / link).exists(), link


@pytest.mark.long
def test_the_guide_counts_the_lines_of_its_cells_in_all_libraries(tmp_path):
    pytest.importorskip("equinox")
    printed = run(str(ROOT / "examples" / "guide_elsewhere.py"), folder=tmp_path)
    rows = [line.split() for line in printed.splitlines()[1:]]
    text = (ROOT / "docs" / "how_to" / "guide.md").read_text()
    for k, head in enumerate(("lines of `PacedCell`", "lines of `ClockCell`", "lines to run")):
        (row,) = re.findall(rf"^\| {head}.*\|$", text, re.M)
        assert re.findall(r"\d+", row) == [words[k + 1] for words in rows]
    assert max(float(words[-1]) for words in rows) < 1e-12
    cells = (ROOT / "examples" / "guide.py").read_text()
    start, end = cells.index("class PacedCell"), cells.index("\n\nif __name__")
    assert cells[start:end] in text


DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
FIRST = ("your_own_cell", "sequences")
ELSEWHERE = ("keras",)
"""Pages whose packages are those of `make test-oracles`; tests/oracles runs them."""


def name_of(page):
    return str(page.relative_to(DOCS).with_suffix(""))


@cases(
    "page",
    sorted(
        (p for p in PAGES if CODE.search(p.read_text()) and p.stem not in ELSEWHERE),
        key=lambda p: p.stem not in FIRST,
    ),
    ids=name_of,
    short=len(FIRST),
)
def test_the_code_of_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_page(page)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_of_a_page_lead_to_files(page):
    for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / link).exists(), link
