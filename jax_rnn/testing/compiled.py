"""How the programs of the checks are compiled: quickly, as each of them runs once or twice."""

from collections.abc import Callable
from functools import cache
from typing import Any

import jax

__all__ = ["compiled"]

QUICK = {
    "xla_cpu_use_fusion_emitters": False,
    "xla_backend_optimization_level": 0,
    "xla_cpu_parallel_codegen_split_count": 1,
}
"""Options of XLA on CPU for one program. The time of a compilation is proportional to the number
of its fusions, of which a gradient of a cell with layer norm has 180. The first option makes XLA
emit a fusion directly, without a compilation of its own; the second needs the first to be of use.
"""


def compiled(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """``jax.jit``, which compiles several times as fast on CPU, without optimization.

    The options are those of this function and of what it calls, not of the process. Functions that
    are called eagerly are not affected.
    """
    return jax.jit(function, compiler_options=_known(jax.default_backend()), **options)


@cache
def _known(backend: str) -> dict[str, Any]:
    """The options that this version of XLA knows."""
    if backend != "cpu":
        return {}
    if _compiles(QUICK):
        return QUICK
    return {name: value for name, value in QUICK.items() if _compiles({name: value})}


def _compiles(options: dict[str, Any]) -> bool:
    try:
        jax.jit(lambda: 0, compiler_options=options).lower().compile()
    except jax.errors.JaxRuntimeError:  # "No such compile option"
        return False
    return True
