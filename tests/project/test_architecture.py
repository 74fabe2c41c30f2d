"""The allowed imports, and what importing the library loads."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest

import jax_rnn
import rnn_lecture
from tools.path import passed

PACKAGE = Path(jax_rnn.__file__).parent
ROOT = PACKAGE.parent
REFERENCE = ROOT / "reference_torch"
FACTS = Path(rnn_lecture.__file__).parent

RANKS = {"base": 0, "data": 1, "cells": 2, "scans": 3, "layers": 4, "analysis": 5}
RANKS |= {"interop": 5, "train": 5}
RANKS |= {"testing": 6, "bench": 7, "probes": 7, "lecture": 8, "app": 9, "__main__": 10}
"""A unit imports itself and units of lower rank."""


class Import(NamedTuple):
    module: str
    deferred: bool
    """In a function, or for type checkers only."""


def imports(path: Path) -> Iterator[Import]:
    """Every import of a file, relative ones resolved."""
    package = path.relative_to(ROOT).parent.parts

    def visit(node: ast.AST, deferred: bool) -> Iterator[Import]:
        match node:
            case ast.Import(names=names):
                yield from (Import(alias.name, deferred) for alias in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                base = ".".join([*package[: len(package) - level + 1] * bool(level), module or ""])
                yield from (Import(f"{base.strip('.')}.{alias.name}", deferred) for alias in names)
        inside = isinstance(node, ast.FunctionDef) or (
            isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        )
        for child in ast.iter_child_nodes(node):
            yield from visit(child, deferred or inside)

    return visit(ast.parse(path.read_text("utf-8")), False)


def unit(path: Path) -> str:
    """The file or folder under ``jax_rnn`` that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def under(module: str, *packages: str) -> bool:
    return module.split(".")[0] in packages


FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if path.parent != PACKAGE / "__pycache__"]
every_file = pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))


def test_relative_imports_and_those_deferreds_are_found(tmp_path, monkeypatch):
    source = "from . import a\nfrom ..b.c import d\ndef f():\n    def g():\n        import torch.nn"
    path = tmp_path / "pkg" / "sub" / "file.py"
    path.parent.mkdir(parents=True)
    path.write_text(source)
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    found = [("pkg.sub.a", False), ("pkg.b.c.d", False), ("torch.nn", True)]
    assert list(imports(path)) == found


@every_file
def test_imports_run_one_way(path):
    here = unit(path)
    if here == "__init__":
        allowed = ["importlib.metadata.version", "lazy_loader"]
        assert [found.module for found in imports(path)] == allowed
        return
    assert here in RANKS, f"{here}: give it a rank"
    for module, _ in imports(path):
        if under(module, "jax_rnn"):
            other = module.split(".")[1]
            assert other in RANKS, f"{path}: import {module} from the file that defines it"
            assert other == here or RANKS[other] < RANKS[here], f"{here} must not import {module}"


HEAVY = [
    # packages, the units that may import them when called
    (("torch", "reference_torch"), {"interop", "bench", "lecture", "testing"}),
    (("tensorboardX", "filelock"), {"train"}),
    (("matplotlib", "jinja2"), {"base", "lecture", "app", "probes", "train"}),
]


@every_file
def test_what_is_heavy_is_imported_where_it_is_needed_and_when_called(path):
    for module, deferred in imports(path):
        for packages, units in HEAVY:
            if under(module, *packages):
                assert deferred and unit(path) in units, f"{module} in {path}"


BELOW_COMMANDS = (PACKAGE / "base", PACKAGE / "train", PACKAGE / "lecture" / "teaching", FACTS)
XLA_FLAG = "--xla_force_host_platform_device_count"


@pytest.mark.parametrize("place", BELOW_COMMANDS, ids=lambda path: path.name)
def test_commands_and_options_are_named_only_where_they_are_defined(place):
    for path in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = node.value.replace(XLA_FLAG, "")
                assert not re.search(r"jax-rnn |--[a-z]", text), f"{path}:{node.lineno}: {text!r}"


def run_python(code: str, without: Sequence[str] = ("torch", "matplotlib", "jinja2")) -> Any:
    """What ``code`` prints, as JSON, in an interpreter where some packages cannot be imported."""
    blocked = f"import sys; sys.modules.update(dict.fromkeys({without!r}, None))\n"
    command = [sys.executable, "-c", blocked + code]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_every_public_name_resolves():
    assert len(set(jax_rnn.__all__)) == len(jax_rnn.__all__) >= 19
    for name in jax_rnn.__all__:
        value = getattr(jax_rnn, name)
        home = value.__name__ if isinstance(value, ModuleType) else value.__module__
        assert home.startswith("jax_rnn.")
    assert {"RNN", "LSTM", "GRU", "Recurrent", "fit"} <= set(jax_rnn.__all__)


WALK = """
import importlib, json, pkgutil, sys
import jax_rnn
bare = "jax" in sys.modules
walk = pkgutil.walk_packages(jax_rnn.__path__, "jax_rnn.")
modules = [m.name for m in walk if m.name.split(".")[1] in units and m.name[-8:] != "__main__"]
for module in modules:
    importlib.import_module(module)
names = [name for name in jax_rnn.__all__ if getattr(jax_rnn, name) is not None]
loaded = [m for m in ("torch", "matplotlib", "reference_torch") if sys.modules.get(m)]
print(json.dumps({"bare": bare, "names": names, "modules": modules, "loaded": loaded}))
"""


@pytest.mark.long
def test_package_needs_neither_torch_nor_matplotlib():
    found = run_python(f"units = {[*RANKS]}\n{WALK}")
    assert not found["bare"], "import jax_rnn alone should wait with importing JAX"
    assert sorted(found["names"]) == sorted(jax_rnn.__all__)
    assert len(found["modules"]) > 100 and found["loaded"] == []


PLAIN = [*FACTS.rglob("*.py"), *(PACKAGE / "data").rglob("*.py"), PACKAGE / "base" / "storage.py"]
OPTIONAL = {"platformdirs", "pooch", "requests", "rich"}


@pytest.mark.parametrize(
    "path",
    [path for path in sorted(PLAIN) if path.name != "batches.py"],
    ids=lambda p: str(p.relative_to(ROOT)),
)
def test_facts_and_data_are_plain_python_and_numpy(path):
    for module, deferred in imports(path):
        top = module.split(".")[0]
        data = module.startswith(("jax_rnn.data", "jax_rnn.base.storage", "jax_rnn.base.errors"))
        plain = data or top in {"lazy_loader", "numpy", "rnn_lecture"} | sys.stdlib_module_names
        assert plain or (deferred and top in OPTIONAL | {"jax_rnn"}), module


def test_the_programs_in_pytorch_load_no_jax():
    code = "import json, sys; sys.modules['jax'] = None; import reference_torch.names as names\n"
    code += "print(json.dumps([names.lesson.name, 'flax' in sys.modules]))"
    assert run_python(code, without=()) == ["names", False]


LIBRARY = ["base", "data", "cells", "scans", "layers", "interop", "train", "testing", "bench"]


@pytest.mark.parametrize("name", LIBRARY)
def test_the_library_knows_no_lecture(name):
    for path in sorted((PACKAGE / name).rglob("*.py")):
        for module, _ in imports(path):
            assert not under(module, "rnn_lecture"), f"{path}: {module}"
        found = re.search(
            r"\b(lessons?|lecture|recipes?|rnn_lecture|teaching)\b", path.read_text("utf-8")
        )
        assert found is None, f"{path}: {found}"


@pytest.mark.long
def test_the_library_works_without_the_lecture():
    lecture = "rnn_lecture", "reference_torch", "jax_rnn.lecture", "jax_rnn.app"
    found = run_python(f"units = {LIBRARY}\n{WALK}", without=lecture)
    assert sorted(found["names"]) == sorted(jax_rnn.__all__)
    assert {module.split(".")[1] for module in found["modules"]} == {*LIBRARY}


@pytest.mark.long
def test_the_path_of_a_command_leads_from_the_command_line_to_the_lesson(monkeypatch):
    monkeypatch.setenv("JAX_ENABLE_COMPILATION_CACHE", "false")
    files = passed(["train", "cell"])
    assert files[0] == "jax_rnn/app/cli.py"
    assert {"jax_rnn/app/train.py", "jax_rnn/lecture/lessons/cell.py", "rnn_lecture/facts.py"} < {
        *files
    }
    assert all((ROOT / path).is_file() for path in files)
