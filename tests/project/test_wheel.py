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
    command = [sys.executable, "-P", "-m", *arguments]
    done = subprocess.run(
        command, cwd=folder, env=environment(PYTHONPATH=str(path)), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """The wheel, built and unpacked, without what it depends on."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for package in PACKAGES:
        shutil.copytree(ROOT / package, source / package)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = ("pip", "--quiet", "--disable-pip-version-check")
    quick = ("--no-deps", "--no-build-isolation")
    run(*pip, "wheel", *quick, "--wheel-dir", str(folder), str(source), folder=folder, path=folder)
    (wheel,) = folder.glob("jax_rnn-*.whl")
    target = ("--no-deps", "--target", str(folder / "site"))
    run(*pip, "install", *target, str(wheel), folder=folder, path=folder)
    return folder / "site"


@pytest.mark.long
def test_the_wheel_holds_all_packages_and_their_data(unpacked):
    for name in (
        "jax_rnn/__init__.pyi",
        "jax_rnn/data/__init__.pyi",
        "jax_rnn/py.typed",
        "jax_rnn/lecture/compare/page.html.jinja",
        "jax_rnn/lecture/inspect/page.html.jinja",
    ):
        assert (unpacked / name).is_file(), name
    assert (unpacked / "reference_torch" / "as_on_slide" / "hidden_order.py").is_file()
    assert (unpacked / "rnn_lecture" / "words.py").is_file()
    assert not (unpacked / "tests").exists()


@pytest.mark.long
def test_the_command_line_of_the_wheel_compares_and_writes_a_page(unpacked, tmp_path):
    pytest.importorskip("torch")
    pytest.importorskip("jinja2")
    where = "".join(f"import {package}; print({package}.__file__);" for package in PACKAGES)
    found = subprocess.run(
        [sys.executable, "-P", "-c", where],
        cwd=tmp_path,
        env=environment(PYTHONPATH=str(unpacked)),
        capture_output=True,
        text=True,
    ).stdout.split()
    assert len(found) == len(PACKAGES)
    assert all(Path(file).is_relative_to(unpacked) for file in found)

    page = tmp_path / "page.html"
    run("jax_rnn", "compare", "batch", "--html", str(page), folder=tmp_path, path=unpacked)
    assert "batch" in page.read_text()
    assert (unpacked / "bin" / "jax-rnn").exists()
