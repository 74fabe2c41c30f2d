"""The wheel works outside the repository, command line included."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit import environment

ROOT = Path(__file__).parents[2]
PACKAGES = ("jax_rnn", "reference_torch", "rnn_lecture")


def run(*arguments: str, folder: Path, path: Path) -> str:
    command = [sys.executable, "-P", *arguments]
    env = environment(PYTHONPATH=str(path))
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """The wheel, built and unpacked, without what it depends on."""
    folder = tmp_path_factory.mktemp("wheel")
    source, site = folder / "source", folder / "site"
    for package in PACKAGES:
        shutil.copytree(ROOT / package, source / package)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = "-m", "pip", "--quiet", "--disable-pip-version-check"
    quick = "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)
    run(*pip, "wheel", *quick, str(source), folder=folder, path=folder)
    (wheel,) = folder.glob("jax_rnn-*.whl")
    run(*pip, "install", "--no-deps", "--target", str(site), str(wheel), folder=folder, path=folder)
    return site


@pytest.mark.long
def test_the_wheel_holds_all_packages_and_their_data(unpacked):
    ours = ["__init__.pyi", "data/__init__.pyi", "py.typed"]
    ours += [f"lecture/{folder}/page.html.jinja" for folder in ("compare", "inspect")]
    for name in ("reference_torch/as_on_slide/hidden_order.py", "rnn_lecture/words.py", *ours):
        assert (unpacked / "jax_rnn" / name if name in ours else unpacked / name).is_file(), name
    assert not (unpacked / "tests").exists()


@pytest.mark.long
def test_the_command_line_of_the_wheel_compares_and_writes_a_page(unpacked, tmp_path):
    pytest.importorskip("torch")
    pytest.importorskip("jinja2")
    where = "".join(f"import {package}; print({package}.__file__);" for package in PACKAGES)
    found = run("-c", where, folder=tmp_path, path=unpacked).split()
    assert len(found) == len(PACKAGES)
    assert all(Path(file).is_relative_to(unpacked) for file in found)

    page = tmp_path / "page.html"
    words = "-m", "jax_rnn", "compare", "batch", "--html", str(page)
    run(*words, folder=tmp_path, path=unpacked)
    assert "batch" in page.read_text()
    assert (unpacked / "bin" / "jax-rnn").exists()
