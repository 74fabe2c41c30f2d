"""Options of XLA for one program: which are known to help, and whether XLA accepts them."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import jax

from jax_rnn.base.errors import ArgumentError, ArgumentTypeError

__all__ = [
    "CANDIDATES",
    "Options",
    "accepted",
    "check_compiler_options",
    "compiler_options",
    "parsed_options",
]

Options = Mapping[str, bool | int | float | str]

COMMANDS = "FUSION,CUBLAS,CUBLASLT,CUSTOM_CALL,CUDNN,DYNAMIC_SLICE_FUSION,WHILE,CONDITIONAL"
WHOLE_LOOP: Options = {
    "xla_gpu_enable_command_buffer": COMMANDS,
    "xla_gpu_graph_min_graph_size": 1,
}

CANDIDATES: dict[str, dict[str, Options]] = {
    "cpu": {
        "YNNPACK off": {"xla_cpu_experimental_ynn_fusion_type": ""},
        "memory-optimized scheduler": {
            "xla_cpu_scheduler_type": "CPU_SCHEDULER_TYPE_MEMORY_OPTIMIZED"
        },
        "vectors of 512 bits": {"xla_cpu_prefer_vector_width": 512},
        "products on one thread": {"xla_cpu_multi_thread_eigen": False},
    },
    "gpu": {
        "loops as command buffers": WHOLE_LOOP,
        "no command buffers": {"xla_gpu_enable_command_buffer": ""},
    },
    "tpu": {},
}
"""Options by platform that change the speed of recurrent layers, some for the better."""


def compiler_options(platform: str) -> dict[str, Any]:
    """Options of XLA for programs with recurrent layers on a platform.

    Pass them to ``jax.jit(function, compiler_options=...)``, or to ``fit`` under this name. They
    are options of that one program, not of the process.

    On a GPU they record the whole loop over time as one command buffer, a CUDA graph: its kernels
    are launched without the host. By default XLA records the body of a loop only, if it has at
    least 5 kernels. They were compiled for an H100, not timed. For CPU and TPU the dict is empty:
    no option is known that is faster at every size. The benchmark of the command line can time
    those that are faster at some.

    Args:
        platform: ``"cpu"``, ``"gpu"`` or ``"tpu"``.

    Returns:
        Values by the names of the options, a new dict.

    Raises:
        ValueError: another platform.
    """
    if platform not in CANDIDATES:
        raise ArgumentError("platform", f"expected 'cpu', 'gpu' or 'tpu', got {platform!r}")
    return dict(WHOLE_LOOP) if platform == "gpu" else {}


def check_compiler_options(options: Any) -> dict[str, Any]:
    """The options as a dict; None is none.

    Raises:
        TypeError: not a mapping. ValueError: options that XLA refuses on this platform.
    """
    if options is None:
        return {}
    if not isinstance(options, Mapping):
        raise ArgumentTypeError(
            "compiler_options", f"expected a dict of names and values, got {options!r}"
        )
    if why := accepted(tuple(options.items())):
        platform = jax.default_backend()
        raise ArgumentError(
            "compiler_options",
            f"expected options of XLA for {platform}, got {dict(options)}: {why}; "
            "jax_rnn.compiler_options(platform) returns options that it knows",
        )
    return dict(options)


def parsed_options(words: Iterable[str]) -> dict[str, bool | int | str]:
    """``NAME=VALUE`` words as a dict; numbers, true and false as such.

    Raises:
        ValueError: a word of another form.
    """
    found: dict[str, bool | int | str] = {}
    known = {"true": True, "false": False}
    for word in words:
        name, sign, value = word.partition("=")
        if not (name and sign):
            raise ArgumentError("compiler_options", f"expected NAME=VALUE, got {word!r}")
        found[name] = known.get(value.lower(), int(value) if value.isdecimal() else value)
    return found


@cache
def accepted(options: tuple[tuple[str, Any], ...]) -> str:
    """Why XLA refuses the options, or an empty string."""
    try:
        jax.jit(lambda: 0, compiler_options=dict(options)).lower().compile()
    except (jax.errors.JaxRuntimeError, ValueError, TypeError) as error:
        return str(error).removeprefix("INVALID_ARGUMENT: ").rstrip(".")
    return ""
