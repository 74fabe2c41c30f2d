"""The files that a command passes through, in order.

A file counts once one of its functions runs; importing it does not count.

    python -m tools.path train ihello
    python -m tools.path train char_lm --out /tmp/run --steps 2 --text book.txt
"""

import sys
import threading
from collections.abc import Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from types import FrameType
from typing import Any

from jax_rnn.app import cli

__all__ = ["main", "passed"]

ROOT = Path(__file__).parents[1]
CORE = ("cells", "scans", "layers")
STARTS = tuple(f"{ROOT}/{name}/" for name in ("jax_rnn", "rnn_lecture", "reference_torch"))


def passed(words: Sequence[str]) -> list[str]:
    """Paths of the files, relative to the project, in the order of their first call."""
    found: dict[str, None] = {}

    def note(frame: FrameType, event: str, argument: Any) -> None:
        name = frame.f_code.co_filename
        if event == "call" and name.startswith(STARTS):
            path = name.removeprefix(f"{ROOT}/")
            if path not in found and not _importing(frame):
                found[path] = None

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        with redirect_stdout(StringIO()):
            cli.main([*words, cli.KEEP_NONE])
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # pyright: ignore[reportArgumentType]
    return list(found)


def _importing(frame: FrameType | None) -> bool:
    """Whether the call belongs to an import."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def main(words: Sequence[str]) -> None:
    if not words or words[0] in ("-h", "--help"):
        print(__doc__)
        return
    files = passed(words)
    for number, path in enumerate(files, 1):
        print(f"{number:3}  {path}")
    core = sum(path.startswith(tuple(f"jax_rnn/{name}/" for name in CORE)) for path in files)
    print(f"{len(files)} files, {core} of them cells, scans and layers")


if __name__ == "__main__":
    main(sys.argv[1:])
