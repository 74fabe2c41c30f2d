"""Summary of the ratios over many rows."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from jax_rnn.bench.problem import PASSES
from jax_rnn.bench.race import OURS, Row

__all__ = ["BEST_JAX", "summarise"]

BEST_JAX = "best of JAX"


def summarise(rows: Sequence[Row], jax_peers: Iterable[str]) -> dict[str, Any]:
    """By peer and pass, over plain rows where the equations agree.

    ``{"torch": {"all": {"geometric_mean": .., "rows": .., "we_are_slower": ..}, "forward": ..}}``.
    A ratio is the median of the peer divided by that of jax_rnn. ``best of JAX`` is the fastest of
    the JAX peers in each row.
    """
    jax_peers = list(jax_peers)
    ratios: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        if not row.setting.plain:
            continue
        for kind, entries in row.entries.items():
            here = {
                name: entry.ratio
                for name, entry in entries.items()
                if name != OURS and name not in row.notes and entry.ratio is not None
            }
            of_jax = [ratio for name, ratio in here.items() if name in jax_peers]
            if of_jax:
                here[BEST_JAX] = min(of_jax)
            for name, ratio in here.items():
                ratios.setdefault(name, {}).setdefault(kind, []).append(ratio)
    return {name: _of_passes(by_pass) for name, by_pass in ratios.items()}


def _of_passes(by_pass: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    found = {"all": _of([ratio for ratios in by_pass.values() for ratio in ratios])}
    return found | {kind: _of(by_pass[kind]) for kind in PASSES if kind in by_pass}


def _of(ratios: list[float]) -> dict[str, float]:
    return {
        "geometric_mean": math.exp(sum(map(math.log, ratios)) / len(ratios)),
        "least": min(ratios),
        "rows": len(ratios),
        "we_are_slower": sum(ratio < 1 for ratio in ratios),
    }
