"""A cell beside somebody else's implementation: outputs, last states and gradients in float64.

The other implementation runs one sequence at a time, from one reset to the next and no further than
its length, which is what lengths and resets mean.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx

from jax_rnn import Recurrent
from jax_rnn.cells import SLSTMCarry
from jax_rnn.interop.packages import layout, weights_of

B, T = 3, 6
LENGTHS = (6, 4, 5)
RESETS = np.zeros((T, B), bool)
RESETS[0, 1] = RESETS[2, 0] = RESETS[3, 0] = RESETS[4, 2] = True


@dataclass(frozen=True)
class Oracle:
    """How to run an implementation of a cell."""

    cell: Callable[[], Any]
    module: Callable[[], Any] | None
    """The implementation, in torch's default dtype; None if it is one of JAX."""
    package: str | None = None
    """Of ``jax_rnn.interop.package_weights``; None if all names and layouts are ours."""
    left_out: tuple[str, ...] = ()
    """Our weights that the package's module leaves to its caller."""
    sequence: Callable[..., Any] | None = None
    """``sequence(module, x, state)``, y and the last state; by default the module is a step."""
    image: tuple[int, ...] = ()
    """Height and width."""


def steps(module: Any, x: Any, state: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]]:
    """A module that is one step ``(x, state) -> (y, state)``."""
    outputs = []
    for x_t in x:
        y, state = module(x_t, state)
        outputs.append(y)
    return torch.stack(outputs), state


def of_state(call: Callable[..., Any]) -> Callable[..., Any]:
    """A sequence of steps ``call(module, x, state) -> state``, whose first part is y."""

    def sequence(module, x, state):
        return steps(lambda x_t, s: ((new := call(module, x_t, s))[0], new), x, state)

    return sequence


def random_cell(oracle: Oracle) -> Any:
    """The cell with random numbers added to all parameters."""
    cell, generator = oracle.cell(), np.random.default_rng(0)
    for name, value in weights_of(cell).items():
        getattr(cell, name)[...] = value + 0.3 * generator.normal(size=value.shape)
    return cell


def arrays(cell: Any, oracle: Oracle, resets: bool) -> dict[str, Any]:
    """Inputs, a first state, and cotangents of the outputs and of the last state."""
    generator = np.random.default_rng(1)
    x = generator.normal(size=(T, B, *oracle.image, cell.input_size))
    initial = jax.tree.map(np.asarray, cell.initialize_carry(x.shape[1:]))

    def normal(like: np.ndarray) -> np.ndarray:
        value = generator.normal(size=like.shape)
        return value + 1j * generator.normal(size=like.shape) if np.iscomplexobj(like) else value

    hx = tuple(normal(leaf) for leaf in initial)
    if getattr(cell, "positive", False):
        hx = tuple(np.abs(leaf) + 0.1 for leaf in hx)
    if type(initial) is SLSTMCarry:  # its normaliser is positive
        hx = tuple(
            np.abs(h) + 0.5 if f == "n" else h for f, h in zip(initial._fields, hx, strict=True)
        )
    y = np.broadcast_to(x[..., :1], (*x.shape[:-1], cell.output_size))
    cotangents = normal(y), tuple(map(normal, hx))
    ends = {"lengths": LENGTHS, "resets": RESETS} if resets else {"lengths": (T,) * B}
    return {"x": x, "hx": hx, "initial": initial, "cotangents": cotangents, **ends}


def ours(cell: Any, given: dict[str, Any]) -> Any:
    """Outputs, last state, and gradients of the weights, x and the first state."""
    graph, params, rest = nnx.split(cell, nnx.Param, ...)
    kind, options = cell.carry_type, {}
    if "resets" in given:
        options = {"lengths": jnp.asarray(given["lengths"]), "resets": jnp.asarray(given["resets"])}

    def loss(weights, x, hx):
        values = nnx.State({name: params[name].replace(v) for name, v in weights.items()})
        layer = Recurrent(nnx.merge(graph, values, rest))
        first = kind(*(leaf[None] for leaf in hx))
        y, last = layer(x, first if len(hx) > 1 else first[0], **options)
        last = tuple(leaf[0] for leaf in (last if len(hx) > 1 else (last,)))
        return _inner(jnp, (y, *last), given["cotangents"]), (y, last)

    arguments = (weights_of(cell), jnp.asarray(given["x"]), tuple(map(jnp.asarray, given["hx"])))
    (_, values), gradients = jax.jit(jax.value_and_grad(loss, (0, 1, 2), has_aux=True))(*arguments)
    return values, gradients


def theirs(cell: Any, oracle: Oracle, given: dict[str, Any]) -> Any:
    """The same of the other implementation, with gradients of our weights."""
    run = with_torch if oracle.module is not None else with_jax
    own = weights_of(cell)
    if oracle.package is None:
        return run(oracle, own, given)
    plan = layout(cell, oracle.package)

    def to_theirs(own):
        return {**plan.to_theirs(cell, own), **{name: own[name] for name in oracle.left_out}}

    weights, back = jax.vjp(to_theirs, own)
    values, (gradients, *rest) = run(oracle, weights, given)
    (gradients,) = back(jax.tree.map(jnp.asarray, gradients))
    return values, (gradients, *rest)


def with_torch(oracle: Oracle, weights: dict[str, Any], given: dict[str, Any]) -> Any:
    """The values and gradients of a torch module."""
    module = oracle.module()
    module.load_state_dict({k: _tensor(v) for k, v in weights.items()}, strict=False)
    x = _tensor(given["x"]).requires_grad_()
    hx = tuple(_tensor(leaf).requires_grad_() for leaf in given["hx"])
    initial = tuple(map(_tensor, given["initial"]))
    y, last = by_rows(torch, partial_sequence(oracle, module), x, hx, initial, given)
    named = {name: p for name, p in module.named_parameters() if name in weights}
    assert named.keys() == weights.keys()
    leaves = (*named.values(), x, *hx)
    total = _inner(torch, (y, *last), given["cotangents"])
    found = torch.autograd.grad(total, leaves, allow_unused=True)
    gradients = [
        torch.zeros_like(leaf).numpy() if g is None else g.resolve_conj().numpy().conj()
        for g, leaf in zip(found, leaves, strict=True)
    ]
    of_weights = dict(zip(named, gradients, strict=False))
    rest = gradients[len(named) :]
    values = y.detach().numpy(), tuple(leaf.detach().numpy() for leaf in last)
    return values, (of_weights, rest[0], tuple(rest[1:]))


def with_jax(oracle: Oracle, weights: dict[str, Any], given: dict[str, Any]) -> Any:
    """Those of a module of JAX; its ``sequence`` takes the weights in place of the module."""
    initial = tuple(map(jnp.asarray, given["initial"]))

    def loss(weights, x, hx):
        y, last = by_rows(jnp, partial_sequence(oracle, weights), x, hx, initial, given)
        return _inner(jnp, (y, *last), given["cotangents"]), (y, last)

    arguments = (weights, jnp.asarray(given["x"]), tuple(map(jnp.asarray, given["hx"])))
    (_, values), gradients = jax.jit(jax.value_and_grad(loss, (0, 1, 2), has_aux=True))(*arguments)
    return values, gradients


def partial_sequence(oracle: Oracle, module: Any) -> Callable[..., Any]:
    run = oracle.sequence or steps
    return lambda x, state: run(module, x, state)


def by_rows(library: Any, run: Any, x: Any, hx: Any, initial: Any, given: dict[str, Any]) -> Any:
    """Each row of the batch on its own, from reset to reset."""
    resets = given.get("resets", np.zeros((T, B), bool))
    outputs, last = [], []
    for row, length in enumerate(given["lengths"]):
        state, parts, start = tuple(leaf[row] for leaf in hx), [], 0
        for end in (*(t for t in range(length) if resets[t, row]), length):
            if end > start:
                y, state = run(x[start:end, row], state)
                parts.extend(y[k] for k in range(end - start))
            if end < length:
                state, start = tuple(leaf[row] for leaf in initial), end
        zero = library.zeros_like(parts[0])
        outputs.append(library.stack(parts + [zero] * (T - length)))
        last.append(state)
    return library.stack(outputs, 1), tuple(map(library.stack, zip(*last, strict=True)))


def _inner(library: Any, values: tuple[Any, ...], cotangents: Any) -> Any:
    """The sum of all outputs and states, weighted; real and imaginary parts apart."""
    y, last = cotangents
    total = 0.0
    for value, weight in zip(values, (y, *last), strict=True):
        weight = library.asarray(weight)
        if np.iscomplexobj(cotangents[0]) or weight.dtype in (torch.complex128, jnp.complex128):
            total = total + (value.real * weight.real + value.imag * weight.imag).sum()
        else:
            total = total + (value * weight).sum()
    return total


def _tensor(value: Any) -> torch.Tensor:
    return torch.tensor(np.asarray(value))
