"""Conversion of modules from and to torch: layers, cells, Linear, Embedding and containers."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from flax import nnx

from jax_rnn.base.typing import DTypeLike, describe
from jax_rnn.cells.gru import GRUCell
from jax_rnn.cells.lstm import LSTMCell
from jax_rnn.cells.rnn import RNNCell
from jax_rnn.interop.state_dict import load_torch_state_dict
from jax_rnn.interop.tensors import torch_tensors
from jax_rnn.layers.feedforward import Embedding, Linear
from jax_rnn.layers.recurrent import Recurrent
from jax_rnn.layers.torch_layers import GRU, LSTM, RNN

if TYPE_CHECKING:
    import torch

__all__ = ["from_torch", "to_torch"]

LAYER = (
    "input_size",
    "hidden_size",
    "num_layers",
    "bias",
    "batch_first",
    "dropout",
    "bidirectional",
)
CELL = ("input_size", "hidden_size", "bias")

TABLE: dict[str, tuple[type, tuple[str, ...]]] = {
    "RNN": (RNN, (*LAYER, "nonlinearity")),
    "LSTM": (LSTM, (*LAYER, "proj_size")),
    "GRU": (GRU, LAYER),
    "RNNCell": (RNNCell, (*CELL, "nonlinearity")),
    "LSTMCell": (LSTMCell, CELL),
    "GRUCell": (GRUCell, CELL),
    "Linear": (Linear, ("in_features", "out_features", "bias")),
    "Embedding": (Embedding, ("num_embeddings", "embedding_dim")),
}
"""Torch's name, the class here, and the options of the constructor, named as in torch."""

EMBEDDING_ONLY_IN_TORCH = {
    "padding_idx": None,
    "max_norm": None,
    "scale_grad_by_freq": False,
    "sparse": False,
}


def from_torch(module: "torch.nn.Module") -> Any:
    """Convert a torch module, with its options, weights, dtype and train/eval mode.

    RNN, LSTM, GRU, their cells, Linear and Embedding become those of this library; Sequential,
    ModuleList and ModuleDict of them become ``nnx.Sequential``, ``nnx.List`` and ``nnx.Dict``.

    Raises:
        TypeError: any other module, also your own model: build it from this library's layers and
            use ``load_torch_state_dict``.
        ValueError: an unsupported option; a parameter in two places; float64 weights while float64
            is disabled in JAX.
    """
    import torch

    if not isinstance(module, torch.nn.Module):
        raise TypeError(f"from_torch: expected a torch.nn.Module, got {describe(module)}")
    parameters = list(module.parameters())
    places = list(module.named_parameters(remove_duplicate=False))
    _refuse_ties("from_torch", len(places), len(parameters))
    dtypes = {parameter.dtype for parameter in parameters}
    if len(dtypes) > 1:
        raise ValueError(f"from_torch: expected parameters of one dtype, got {dtypes}")
    dtype = jnp.dtype(str(*dtypes).removeprefix("torch.")) if dtypes else None
    ours = _from_torch(module, torch.nn, dtype)
    load_torch_state_dict(ours, module.state_dict())
    return ours


def to_torch(module: nnx.Module) -> "torch.nn.Module":
    """Convert a module to torch, with its options, weights, dtype and train/eval mode.

    Raises:
        TypeError: a module that torch does not have, e.g. a layer of custom cells or
            ``GRU(reset_after=False)``.
        ValueError: a parameter in two places; several heads, which torch does not have.
    """
    import torch

    theirs = _to_torch(module, torch.nn)
    state = torch_tensors(module)
    _refuse_ties("to_torch", len(state), len(jax.tree.leaves(nnx.state(module, nnx.Param))))
    theirs.load_state_dict(state, assign=True)
    return theirs


def _from_torch(module: Any, nn: Any, dtype: DTypeLike | None) -> Any:
    if type(module) is nn.Sequential:
        return nnx.Sequential(*(_from_torch(child, nn, dtype) for child in module))
    if type(module) is nn.ModuleList:
        return nnx.List([_from_torch(child, nn, dtype) for child in module])
    if type(module) is nn.ModuleDict:
        return nnx.Dict({name: _from_torch(child, nn, dtype) for name, child in module.items()})
    name = type(module).__name__
    if name not in TABLE or type(module) is not getattr(nn, name):
        raise TypeError(
            f"from_torch: expected one of {', '.join(TABLE)} or a container of them, got {name}; "
            "build that model from jax_rnn's layers and use load_torch_state_dict(model, "
            "module.state_dict())"
        )
    if name == "Embedding":
        _refuse_options(module, EMBEDDING_ONLY_IN_TORCH)
    ours, options = TABLE[name]
    values = {option: getattr(module, option) for option in options}
    if name == "Linear":
        values["bias"] = module.bias is not None
    made = ours(**values, dtype=dtype, rngs=nnx.Rngs(0))
    (made.train if module.training else made.eval)()
    return made


def _to_torch(module: Any, nn: Any) -> Any:
    if type(module) is nnx.Sequential:
        return nn.Sequential(*(_to_torch(child, nn) for child in module.layers))
    if type(module) is nnx.List:
        return nn.ModuleList([_to_torch(child, nn) for child in module])
    if type(module) is nnx.Dict:
        return nn.ModuleDict({name: _to_torch(module[name], nn) for name in module})
    for name, (ours, options) in TABLE.items():
        if type(module) is ours and not (ours is GRU and not module.reset_after):
            _refuse_heads(module)
            theirs = getattr(nn, name)(**{option: _option(module, option) for option in options})
            return theirs.train(
                not (isinstance(module, Recurrent) and module.dropout.deterministic)
            )
    raise TypeError(
        f"to_torch: expected one of {', '.join(TABLE)} (GRU with reset_after=True) or a container "
        f"of them, got {_origin(module)}.{type(module).__name__}; build the same model in torch "
        "and use load_state_dict with torch_state_dict(module)"
    )


def _refuse_heads(module: Any) -> None:
    cells = module.cells if isinstance(module, Recurrent) else [module]
    heads = {getattr(cell, "heads", 1) for cell in cells}
    if heads != {1}:
        raise ValueError(
            f"to_torch: expected {type(module).__name__} with heads=1, got heads={max(heads)}; "
            "torch's hidden maps are dense"
        )


def _origin(module: Any) -> str:
    """The package of a module, e.g. ``flax``, whose Linear is another class."""
    return type(module).__module__.split(".")[0]


def _option(module: Any, option: str) -> Any:
    readers: dict[str, Callable[[], Any]] = {
        "bias": lambda: module.use_bias if isinstance(module, nnx.Linear) else module.bias,
        "dropout": lambda: module.dropout.rate,
        "embedding_dim": lambda: module.features,
    }
    return readers[option]() if option in readers else getattr(module, option)


def _refuse_ties(name: str, places: int, parameters: int) -> None:
    """Refuse shared parameters, whose copies would be trained separately."""
    if places != parameters:
        raise ValueError(
            f"{name}: expected a model without shared parameters, got {parameters} parameters in "
            f"{places} places; build a model that shares them, and convert its submodules"
        )


def _refuse_options(module: Any, only_in_torch: dict[str, Any]) -> None:
    for option, default in only_in_torch.items():
        if getattr(module, option) != default:
            raise ValueError(
                f"from_torch: expected {type(module).__name__} with {option}={default}, "
                f"got {getattr(module, option)}; this is not supported"
            )
