"""How a command starts: what it imports, and the compiled programs that it finds and keeps."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from jax_rnn.app import doctor
from jax_rnn.base import caches
from jax_rnn.base.caches import compiled_folder, keep_compiled

CODE = """
import json, sys
from jax_rnn.app.cli import main
try:
    main(sys.argv[1:])
finally:
    print(json.dumps(sorted(sys.modules)))
"""
VARIABLES = (caches.FOLDER, caches.SWITCH, caches.SHORTEST)
UNUSED = {"matplotlib", "jinja2", "tensorboardX", "safetensors", "torch", "pooch"}
PROGRAMS = {"jit_initialized", "jit_begin", "jit_scan_steps"}
"""All that ``jax-rnn train ihello --variant gru`` compiles; the lesson itself explains more."""


def python(*arguments, cache, **variables):
    """A process with that cache folder of the user's, and none of JAX's variables but those."""
    env = {k: v for k, v in os.environ.items() if k not in VARIABLES and k != "XLA_FLAGS"}
    done = subprocess.run(
        [sys.executable, *arguments],
        env=env | {"XDG_CACHE_HOME": str(cache), **variables},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done


def command(*words, cache, **variables):
    """What a command prints, says on standard error, and has imported in the end."""
    done = python("-c", CODE, *words, cache=cache, **variables)
    *lines, modules = done.stdout.splitlines()
    imported = {module.split(".")[0] for module in json.loads(modules)}
    return SimpleNamespace(lines=lines, said=done.stderr, imported=imported)


def hits(run):
    """The programs that JAX found in its cache."""
    return set(re.findall(r"Persistent compilation cache hit for '(\w+)'", run.said))


@pytest.fixture(scope="module")
def user(tmp_path_factory):
    """The cache folder of a user who has done nothing yet."""
    return tmp_path_factory.mktemp("user")


@pytest.fixture(scope="module")
def first(user):
    """The first command of that user."""
    return command("train", "ihello", "--variant", "gru", cache=user)


@pytest.fixture
def settings(monkeypatch, tmp_path):
    """None of JAX's variables, and the user's cache folder in ``tmp_path``."""
    for name in VARIABLES:
        monkeypatch.setenv(name, "")  # so that changes in between are undone
        monkeypatch.delenv(name)
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: tmp_path / name)
    return tmp_path / "jax_rnn"


class TestImports:
    @pytest.mark.long
    def test_importing_the_library_changes_nothing_in_jax(self, tmp_path):
        code = """
import jax
before = dict(jax.config.values)
import jax_rnn
assert all(getattr(jax_rnn, name) for name in jax_rnn.__all__)
assert jax.config.values == before
"""
        python("-c", code, cache=tmp_path)
        assert not list(tmp_path.iterdir())

    def test_help_needs_no_jax(self, tmp_path):
        run = command("--help", cache=tmp_path)
        assert "--no-compilation-cache" in " ".join(run.lines)
        assert not run.imported & {*UNUSED, "jax", "flax", "optax", "numpy"}
        assert not list(tmp_path.iterdir())

    @pytest.mark.long
    def test_training_imports_nothing_heavy_that_it_does_not_use(self, first):
        assert not first.imported & UNUSED


class TestCompilation:
    @pytest.mark.long
    def test_the_second_run_finds_what_the_first_compiled_without_a_warning(self, user, first):
        assert first.lines[-1] == "Learning finished!" and first.said == ""
        words = "train", "ihello", "--variant", "gru"
        logged = command(*words, cache=user, JAX_LOG_COMPILES="1")
        assert hits(logged) == PROGRAMS and logged.lines == first.lines
        assert command(*words, cache=user).said == ""

    @pytest.mark.long
    def test_a_folder_of_the_users_choice_is_used(self, tmp_path):
        ours, chosen = tmp_path / "ours", tmp_path / "chosen"
        command("train", "cell", cache=ours, JAX_COMPILATION_CACHE_DIR=str(chosen))
        assert list(chosen.glob("jit_*"))
        assert not ours.exists()

    @pytest.mark.long
    def test_the_flag_turns_the_cache_off(self, tmp_path):
        assert command("train", "cell", "--no-compilation-cache", cache=tmp_path).said == ""
        assert not list(tmp_path.iterdir())

    @pytest.mark.long
    def test_a_folder_that_cannot_be_written_costs_one_line(self, tmp_path):
        in_the_way = tmp_path / "file"
        in_the_way.write_text("")
        run = command("train", "cell", cache=in_the_way)
        assert run.lines[0].startswith("input size")
        assert run.said == f"warning: compiled programs are not cached: {in_the_way} is a file\n"


class TestFolder:
    def test_the_folder_is_the_users_unless_jax_has_another(self, settings, monkeypatch):
        assert compiled_folder() == str(settings / "compiled")
        monkeypatch.setenv(caches.FOLDER, "gs://bucket/folder")
        assert compiled_folder() == "gs://bucket/folder"
        monkeypatch.setenv(caches.FOLDER, "")
        assert compiled_folder() is None

    @pytest.mark.parametrize("off", ["0", "false", "False", "off", "no"])
    def test_the_variable_of_jax_turns_the_cache_off(self, off, settings, monkeypatch):
        monkeypatch.setenv(caches.SWITCH, off)
        assert compiled_folder() is None
        keep_compiled()
        assert caches.FOLDER not in os.environ
        assert os.environ[caches.SWITCH] == "false"

    def test_settings_of_the_user_stay(self, settings, monkeypatch):
        monkeypatch.setenv(caches.FOLDER, str(settings / "mine"))
        monkeypatch.setenv(caches.SHORTEST, "2.5")
        keep_compiled()
        assert os.environ[caches.FOLDER] == str(settings / "mine")
        assert os.environ[caches.SHORTEST] == "2.5"
        assert not settings.exists()

    def test_a_folder_without_write_permission_turns_it_off(self, settings, monkeypatch):
        monkeypatch.setattr(os, "access", lambda path, mode: False)
        with pytest.raises(PermissionError, match="cannot be written"):
            keep_compiled()
        assert compiled_folder() is None

    def test_the_doctor_says_where_they_are_and_what_they_take(self, settings, monkeypatch):
        compiled = Path(str(compiled_folder()))
        compiled.mkdir(parents=True)
        (compiled / "one").write_bytes(bytes(1_200_000))
        assert any(f"{compiled}: 1 file, 1.2 MB" in line for line in doctor.examine())
        monkeypatch.setenv(caches.SWITCH, "false")
        assert "  not cached: the compilation cache is disabled" in list(doctor.examine())

    def test_the_check_of_output_files_imports_nothing_that_would_be_timed(self, tmp_path):
        """Otherwise NumPy would come with matplotlib, and JAX's import would look shorter."""
        pytest.importorskip("matplotlib")
        pytest.importorskip("jinja2")
        code = f"""
import sys
from pathlib import Path
from jax_rnn.app.common import check_outputs
check_outputs(html=Path({str(tmp_path)!r}) / "page.html")
print({{"numpy", "matplotlib", "jinja2"}} & {{*sys.modules}})
"""
        assert python("-c", code, cache=tmp_path).stdout == "set()\n"
