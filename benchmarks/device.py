"""All that is measured on a GPU or TPU: the layers, training, and the tests, into one folder.

Each stage is a process of its own, which has the device to itself, and writes its file when it
ends, so that what was measured remains if a later stage fails.
"""

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

__all__ = ["measure_device", "outcome"]

ROOT = Path(__file__).parents[1]

PLATFORMS = {"cpu": "cpu", "gpu": "cuda,cpu", "tpu": "tpu,cpu"}
"""JAX_PLATFORMS for a kind of device, unless the user sets it, for example to ``rocm,cpu``."""


def measure_device(options: argparse.Namespace, words: Sequence[str], results: Path) -> int:
    """Run the stages, and return 0 if all succeed.

    Args:
        options: those of ``python -m benchmarks``.
        words: the words of its command line, which the stage of the layers gets too.
        results: the folder with the folders of devices.
    """
    from rich.console import Console

    from benchmarks.device_page import page
    from jax_rnn.base.storage import write_text

    errors = Console(stderr=True)
    kind = "cpu" if options.pretend else options.device
    variables = {"JAX_PLATFORMS": PLATFORMS[kind], "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    variables |= os.environ
    python = [sys.executable, "-m"]
    command = [*python, "benchmarks.environment", kind]
    done = subprocess.run(command, cwd=ROOT, env=variables, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        return 1
    environment = json.loads(done.stdout)
    name = re.sub(r"\W+", "-", environment["device"]).strip("-")
    usual = ROOT / "build" / "pretended" if options.pretend else results
    folder = (options.out or usual / f"{options.device}-{name}").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "environment.json", json.dumps(environment, indent=1) + "\n")
    began, failed = time.perf_counter(), []
    with tempfile.TemporaryDirectory() as temporary:
        report = Path(temporary) / "tests.xml"
        commands = _commands(options, words, folder, report)
        for stage in options.stages:
            command = [*python, *map(str, commands[stage])]
            elapsed = time.perf_counter() - began
            line = f"{elapsed:5.0f} s  {stage}: {shlex.join(['python', *command[1:]])}"
            errors.print(line, highlight=False, soft_wrap=True, markup=False)
            # The tests allow for the rounding of float32, not for that of TF32.
            exact = {"JAX_DEFAULT_MATMUL_PRECISION": "highest"} if stage == "tests" else {}
            if subprocess.run(command, cwd=ROOT, env=variables | exact).returncode:
                failed.append(stage)
            if stage == "tests" and report.exists():
                found = json.dumps(outcome(report), indent=1, ensure_ascii=False)
                write_text(folder / "tests.json", found + "\n")
    write_text(folder / "README.md", page(folder, options.device, options.pretend, failed))
    errors.print(f"written: {folder}", highlight=False, soft_wrap=True, markup=False)
    return 1 if failed else 0


def _commands(
    options: argparse.Namespace, words: Sequence[str], folder: Path, report: Path
) -> dict[str, list[Any]]:
    """The module and the words of each stage."""
    layers = ["benchmarks", *words, "--sections", "layers"]
    char_lm = ["benchmarks.quality", "char_lm", "--target", "1.60"]
    char_lm += ["--json", folder / "char_lm.json"]
    char_lm += ["--framework", "jax"] if options.device == "tpu" else []
    char_lm += ["--steps", options.steps] if options.steps else []
    char_lm += ["--text", options.text.resolve()] if options.text else []
    tests = ["pytest", f"--junitxml={report}", *shlex.split(options.tests)]
    return {
        "layers": [*layers, "--json", folder / "speed.json", "--plot", folder / "speed.png"],
        "char_lm": char_lm,
        "tests": tests,
    }


def outcome(report: Path) -> dict[str, Any]:
    """How many tests passed, and the names and messages of those that failed.

    Args:
        report: the XML that pytest writes.
    """
    tests = list(ElementTree.parse(report).iter("testcase"))
    failed = {}
    for test in tests:
        for fault in (*test.iterfind("failure"), *test.iterfind("error")):
            name = f"{test.get('classname')}::{test.get('name')}"
            failed[name] = " ".join((fault.get("message") or "").split())[:300]
    skipped = sum(test.find("skipped") is not None for test in tests)
    return {
        "passed": len(tests) - skipped - len(failed),
        "failed": len(failed),
        "skipped": skipped,
        "seconds": round(sum(float(test.get("time", 0)) for test in tests), 1),
        "failures": failed,
    }
