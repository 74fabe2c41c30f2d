"""jax_rnn as a contender."""

from collections.abc import Callable
from inspect import signature
from typing import Any

from flax import nnx

import jax_rnn.layers.torch_layers as layers
from jax_rnn.base.compiler import Options
from jax_rnn.bench.contender import JaxContender, Weights
from jax_rnn.bench.modules import functional
from jax_rnn.bench.problem import Problem
from jax_rnn.layers.recurrent import Recurrent

__all__ = ["build_layer", "ours"]


def ours(
    problem: Problem,
    layer: Recurrent | None = None,
    device: Any = None,
    compiler_options: Options | None = None,
) -> JaxContender:
    """RNN, LSTM or GRU of this library, or ``layer``, with the weights of the problem."""
    paths, with_values = functional(layer or build_layer(problem))
    names = [torch_name(path) for path in paths]

    def convert(weights: Weights) -> list[Any]:
        return [weights[name] for name in names]

    def apply(params: list[Any], x: Any, lengths: Any) -> Any:
        return with_values(params)(x, lengths=lengths)[0]

    options: Any = {"device": device, "compiler_options": compiler_options}
    return JaxContender(problem, apply, convert, **options)


def build_layer(problem: Problem, **options: Any) -> Recurrent:
    """The layer of a setting.

    Raises:
        TypeError: an option that the layer does not take.
    """
    setting = problem.setting
    kind: Callable[..., Recurrent] = getattr(layers, setting.kind)
    unknown = options.keys() - signature(kind.__init__).parameters
    if unknown:
        raise TypeError(f"{setting.kind}: expected options of the layer, got {sorted(unknown)}")
    return kind(
        setting.I,
        setting.H,
        setting.layers,
        bidirectional=setting.bidirectional,
        dtype=setting.dtype,
        rngs=nnx.Rngs(0),
        **options,
    )


def torch_name(path: tuple[Any, ...]) -> str:
    """``("cells", 0, "weight_ih")`` is ``"weight_ih_l0"``."""
    direction, k, name = path
    return f"{name}_l{k}" + ("_reverse" if direction == "reverse_cells" else "")
