"""What several tests share: random arrays, and marks for the two tiers."""

import json
import os
import re
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flax import nnx

__all__ = ["cases", "environment", "long", "normal", "refusals", "refused", "rngs"]
__all__ += ["CODE", "rewrite_checkpoint", "run_page"]

long = pytest.mark.long
"""In the long tier only."""


CODE = re.compile(r"^```python\n(.*?)^```", re.M | re.S)
"""A block of Python in a page of the documentation."""


def run_page(page: Path) -> None:
    """Run the blocks of a page one after the other, with line numbers of the page."""
    text, names = page.read_text(), {"__name__": "__main__"}
    for block in CODE.finditer(text):
        above = "\n" * (text[: block.start()].count("\n") + 1)
        exec(compile(above + block[1], str(page), "exec"), names)


@cache
def normal(*shape: int, seed: int = 0) -> np.ndarray:
    """Standard normal numbers, float64; the same for the same shape and seed."""
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def rngs(seed: int = 0) -> nnx.Rngs:
    return nnx.Rngs(seed)


def refused(error: Any, words: str, call: Callable[[], Any]) -> str:
    """``call()`` raises ``error``, whose message has all ``words``, separated by "|"."""
    with pytest.raises(error) as caught:
        call()
    message = str(caught.value)
    missing = [word for word in words.split("|") if word not in message]
    assert not missing, f"not in the message: {missing}\n{message}"
    return message


def refusals(rows: Iterable[tuple[Callable[[], Any], Any, str]], *fixtures: str) -> Any:
    """A test that uses ``fixtures``: each row (call, error, words) is ``refused``."""
    rows = list(rows)

    @pytest.mark.parametrize(("call", "error", "words"), rows, ids=[row[2][:40] for row in rows])
    def test(call: Callable[[], Any], error: Any, words: str) -> None:
        refused(error, words, call)

    return pytest.mark.usefixtures(*fixtures)(test) if fixtures else test


def environment(devices: int | None = None, **variables: str) -> dict[str, str]:
    """Variables for a process that a test starts: quick compilation, shared compiled programs."""
    count = "--xla_force_host_platform_device_count="
    flags = [flag for flag in os.environ["XLA_FLAGS"].split() if not flag.startswith(count)]
    if devices is not None:
        flags.append(f"{count}{devices}")
    return {**os.environ, "XLA_FLAGS": " ".join(flags), **variables}


def rewrite_checkpoint(path: Path, **changes: Any) -> None:
    """Change entries of the metadata of a checkpoint, and its checksum, as an attacker would."""
    from safetensors import safe_open
    from safetensors.numpy import load_file, save_file

    from jax_rnn.base.sealed import sha256

    with safe_open(path, "np") as file:
        about = json.dumps(json.loads(file.metadata()["about"]) | changes)
    tensors = load_file(path)
    save_file(tensors, path, {"about": about, "sha256": sha256(about, sorted(tensors.items()))})


def cases(
    names: str | tuple[str, ...], values: Iterable[Any], *, short: int, **options: Any
) -> Any:
    """``pytest.mark.parametrize`` whose first ``short`` cases are in both tiers, the others long.

    Args:
        names: of the arguments, as for ``parametrize``.
        values: one a case, or tuples of them where there are several names, or ``pytest.param``.
        short: how many cases the short tier runs.
        options: further ones of ``parametrize``.
    """
    several = not isinstance(names, str) or "," in names
    chosen = [value if k < short else _long(value, several) for k, value in enumerate(values)]
    return pytest.mark.parametrize(names, chosen, **options)


def _long(value: Any, several: bool) -> Any:
    if hasattr(value, "marks"):
        return pytest.param(*value.values, marks=(*value.marks, long), id=value.id)
    return pytest.param(*(value if several else (value,)), marks=long)
