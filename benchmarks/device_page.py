"""The page of a folder of results of a device."""

import json
from pathlib import Path
from typing import Any

from benchmarks.tables import markdown

__all__ = ["page"]


def page(folder: Path, kind: str, pretended: bool, failed: list[str]) -> str:
    """The page in Markdown, of the files that are there.

    Args:
        folder: the folder of the results.
        kind: ``"gpu"`` or ``"tpu"``.
        pretended: whether the CPU ran in place of the device.
        failed: the stages that failed.
    """
    environment = _read(folder / "environment.json") or {}
    lines = [f"# {environment.get('device', folder.name)}", ""]
    if pretended:
        lines += [f"Measured on a CPU in place of the {kind}: the figures mean nothing.", ""]
    lines += [f"`python -m benchmarks --device {kind}`"]
    lines += [f"The stage {stage} ended with an error." for stage in failed]
    if tests := _read(folder / "tests.json"):
        lines += ["", "## Tests on the device", ""]
        lines += ["{passed} passed, {failed} failed, {skipped} skipped.".format(**tests), ""]
        lines += [f"- `{name}`: {message}" for name, message in tests["failures"].items()]
    if char_lm := _read(folder / "char_lm.json"):
        lines += ["", "## Training of char_lm", ""]
        lines += ["| | held-out loss | whole run | seconds to the target |", "| --- " * 4 + "|"]
        lines += [_line(name, side) for name, side in char_lm["summary"].items()]
    if speed := _read(folder / "speed.json"):
        lines += ["", "## Layers", "", markdown(speed), "", "![Ratios of all rows](speed.png)"]
    lines += ["", "## Environment", ""]
    lines += [f"- {name}: {value}" for name, value in environment.items() if value]
    return "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"


def _line(name: str, side: dict[str, Any]) -> str:
    loss, seconds = side["last"]["loss"], side["seconds_to_target"]
    reached = "never" if seconds is None else f"{seconds:.1f}"
    return f"| {name} | {loss:.4f} | {side['seconds']:.1f} s | {reached} |"


def _read(path: Path) -> dict[str, Any] | None:
    return json.loads(path.read_text("utf-8")) if path.exists() else None
