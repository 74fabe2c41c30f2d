"""What the doctor reports of other machines, and how text of any origin is printed."""

import io

import jax
import pytest
from rich.console import Console

from jax_rnn.app import doctor
from jax_rnn.base import devices, extras, progress
from jax_rnn.base.console import LONGEST, printable, say
from jax_rnn.base.devices import DeviceError, choose
from jax_rnn.base.extras import how_to_install
from tests.kit import refused


def examined(monkeypatch, *, kinds, missing=(), gpu_driver=False):
    """The lines, on a machine with one device of each kind and without the missing packages."""

    class Device:
        device_kind = "a device"

    monkeypatch.setattr(doctor, "available", lambda: {kind: [Device()] for kind in kinds})
    monkeypatch.setattr(doctor, "installed", lambda name: None if name in missing else "1.0")
    monkeypatch.setattr(doctor.shutil, "which", lambda name: name if gpu_driver else None)
    return [" ".join(line.replace("\\", "").split()) for line in doctor.examine()]


def test_an_accelerator_that_is_not_there_is_named_with_what_it_takes(monkeypatch):
    lines = examined(monkeypatch, kinds=["cpu"])
    assert "cpu 1 x a device" in lines
    assert 'gpu none; to install JAX for one: pip install "jax[cuda13]"' in lines
    assert 'tpu none; to install JAX for one: pip install "jax[tpu]"' in lines
    assert lines[-1] == "nothing"


def test_an_accelerator_that_is_there_needs_nothing(monkeypatch):
    lines = examined(monkeypatch, kinds=["gpu", "cpu"], gpu_driver=True)
    assert "gpu 1 x a device" in lines
    assert not [line for line in lines if "cuda13" in line]


def test_what_is_missing_is_listed_with_its_use_and_its_remedy(monkeypatch):
    lines = examined(monkeypatch, kinds=["cpu"], missing=["torch", "tensorboardX"], gpu_driver=True)
    assert lines[lines.index("[bold]missing[/]") + 1 :] == [
        f"torch, for `jax-rnn compare` and `sweep --framework torch`: {how_to_install('torch')}",
        f"tensorboardX, for --tensorboard: {how_to_install('tensorboard')}",
        'JAX for the NVIDIA GPU of this machine: pip install "jax[cuda13]"',
    ]


NOT_STARTED = [
    ("cuda", "", "no plugin of JAX for it is installed|unset JAX_PLATFORMS|cuda13"),
    ("tpu", "INTERNAL: no libtpu.so", "no libtpu.so; unset JAX_PLATFORMS|jax[tpu]"),
    ("nonsense", "Backend 'nonsense' is not known", "is not known; unset JAX_PLATFORMS"),
]


@pytest.mark.parametrize(("platform", "reason", "words"), NOT_STARTED)
def test_a_backend_that_does_not_start_is_explained_and_the_rest_examined(
    platform, reason, words, monkeypatch
):
    monkeypatch.setenv("JAX_PLATFORMS", platform)
    said = f"Unable to initialize backend {platform!r}: {reason}" if reason else ""

    def start(kind=None):
        if jax.config.jax_platforms == "cpu":
            raise RuntimeError(said)
        return []

    monkeypatch.setattr(devices.jax, "devices", start)
    refused(DeviceError, f"JAX_PLATFORMS={platform}: |{words}", choose)
    before = jax.config.jax_platforms
    monkeypatch.setattr(doctor, "environment", lambda: dict.fromkeys(FACTS, "-"))
    try:
        lines = examined(monkeypatch, kinds=["cpu"])
    finally:
        jax.config.update("jax_platforms", before)
    assert "without JAX_PLATFORMS JAX finds:" in lines
    assert "cpu 1 x a device" in lines


FACTS = (*doctor.PACKAGES, "python", "system", "processor", "matmul precision")


def test_an_installed_package_names_its_extras(monkeypatch, tmp_path):
    monkeypatch.setattr(extras, "ROOT", tmp_path)
    assert how_to_install("plot") == 'pip install "jax-rnn[plot]"'


def screen(**options):
    return Console(file=io.StringIO(), **options)


class TestTerminal:
    @pytest.mark.parametrize("terminal", [False, True])
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("[/foo] [red]x[/]", "[/foo] [red]x[/]"),
            ("\x1b[2J\a\r", "\\x1b[2J\\x07\\r"),
            ("a\nünï 名", "a\nünï 名"),
            ("\u202e\udcff", "\\u202e\\udcff"),
            (":smile:", ":smile:"),
        ],
    )
    def test_is_printed_as_it_stands(self, text, expected, terminal):
        console = screen(width=40, force_terminal=terminal)
        say(console, text)
        assert console.file.getvalue() == expected + "\n"

    def test_a_terminal_breaks_lines_between_words_and_a_file_has_none_broken(self):
        words = ["held out:", "bits_per_character 0.019,", "/a/path/" + "x" * 30, "(3 tokens/s)"]
        for terminal in (True, False):
            console = screen(width=30, force_terminal=terminal)
            say(console, " ".join(words))
            lines = console.file.getvalue().splitlines()
            assert [word for line in lines for word in line.split()] == " ".join(words).split()
            assert len(lines) == (4 if terminal else 1)

    def test_is_no_longer_than_a_screen(self):
        assert len(printable("x" * 551_979)) == len(printable("\x1b" * 551_979)) == LONGEST
        assert printable("x" * 551_979).endswith("x...")
        assert len(printable("x" * 9_999, None)) == 9_999

    def test_a_bar_is_seen_without_colours_and_before_the_first_step(self, monkeypatch):
        monkeypatch.setattr(progress, "PATIENCE", -1.0)
        console = screen(width=80, force_terminal=True, no_color=True)
        with progress.progress_bar("work", 4, console) as bar:
            bar(0, "compiling")
        assert "─" * progress.WIDTH in console.file.getvalue()
