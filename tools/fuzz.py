"""Compare random layers on random data with torch.nn.

A case is drawn from a seed. It is run in JAX as one compiled program and in torch step by step, and
all results are compared: outputs and final states, gradients with respect to input, weights and hx,
and five steps of Adam. Consecutive seeds share a structure (layer, options, sizes), so that
``CASES_PER_STRUCTURE`` cases need one compilation; data, weights, lengths and padding are new in
every case.

    python -m tools.fuzz --cases 10000 --processes 2
    python -m tools.fuzz --only 1234
"""

import argparse
import json
import math
import re
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import groupby
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch
from flax import nnx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn
from rich.table import Table
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from jax_rnn import GRU, LSTM, RNN, load_torch_state_dict, torch_state_dict
from jax_rnn.base.initializers import Scheme
from jax_rnn.scans import Checkpointed, Gated, Scan, Sequential

__all__ = ["OPTIONS", "Case", "Mismatch", "Structure", "draw", "options", "program", "run"]

CASES_PER_STRUCTURE = 25
STEPS = 5
EAGER = ", eager"
LEARNING_RATE = 1e-2

ADAM_EPS = 1e-3
"""Adam divides a gradient by its own size, g / (|g| + eps): below eps it is a slope of 1 / eps. A
gradient that is 0 in one framework and a rounding error of 1e-15 in the other would thus come out
lr * 1e-15 / 1e-8 = 1e-9 apart with the default eps. With this one, rounding errors grow by a
factor of lr / eps = 10 at most, whatever the gradient: every weight can be compared."""

ALLOWED = {
    "float64": {"forward": 1e-10, "gradient": 1e-9, "adam": 1e-9},
    "float32": {"forward": 1e-5, "gradient": 1e-4, "adam": 1e-3},
    "bfloat16": {"forward": 5e-2, "gradient": 2e-1},
}
"""Float32 rounds at 6e-8, once for each of some ten terms in a sum, nine steps and three layers,
which together magnify by a factor of ten at most; a gradient goes the same way back, and Adam may
take its errors times lr / eps. Bfloat16 rounds at 4e-3: torch after every operation, this library
when a step is over, so that it is torch's own rounding that is allowed for."""

LEVELS = ("forward", "gradient", "adam")

OPTIONS: dict[str, tuple[Any, ...]] = {
    "layer": ("RNN tanh", "RNN relu", "LSTM", "LSTM proj", "GRU"),
    "num_layers": (1, 2, 3),
    "bias": (True, False),
    "batch_first": (False, True),
    "bidirectional": (False, True),
    "batched": (True, False),
    "hx": (False, True),
    "dropout": (0.0, 0.3),
    "unroll": (1, 3),
    "scan": ("gated", "sequential", "auto"),
    "checkpoint_every": (None, 2),
    "dtype": ("float64", "float32", "bfloat16"),
    "lengths": ("none", "mixed", "equal", "full", "zero", "beyond"),
    "padding": ("none", "nan", "inf", "numbers"),
    "eager": (False, True),
}


@dataclass(frozen=True)
class Structure:
    """What a compiled program depends on."""

    layer: str
    num_layers: int
    bias: bool
    batch_first: bool
    bidirectional: bool
    batched: bool
    ragged: bool
    hx: bool
    dropout: float
    unroll: int
    scan: str
    checkpoint_every: int | None
    dtype: str
    input_size: int
    hidden_size: int
    proj_size: int
    batch: int
    steps: int


@dataclass(frozen=True)
class Case:
    """A structure, and what is drawn for every seed.

    Attributes:
        lengths: none; mixed: unsorted, from 1 to T, with both where there is room; equal; full: all
            T; zero: mixed with some 0; beyond: some above T or below 0, which compiled code reads
            as T and 0.
        padding: values after the ends of sequences.
        gain: weights are uniform within gain / sqrt(H); torch starts with 1.
        eager: the layer is also called outside jit, where lengths are known.
    """

    seed: int
    structure: Structure
    lengths: str
    padding: str
    gain: float
    eager: bool


class Mismatch(AssertionError):
    """JAX and torch differ in a case; ``errors`` has the known differences by quantity."""

    def __init__(self, case: Case, what: str, errors: dict[str, float]):
        super().__init__(f"{describe(case)}: {what}\n  {command(case.seed)}")
        self.errors = errors


def draw(seed: int) -> Case:
    """The case with that number."""
    structure = _structure(seed // CASES_PER_STRUCTURE)
    rng = np.random.default_rng([1, seed])
    # In few bits a recurrence that magnifies would show nothing but magnified rounding.
    low, high = {"float64": (1, 4), "float32": (1, 2), "bfloat16": (0.5, 1)}[structure.dtype]
    return Case(
        seed=seed,
        structure=structure,
        lengths=str(rng.choice(OPTIONS["lengths"][1:])) if structure.ragged else "none",
        padding=str(rng.choice(OPTIONS["padding"][1:])) if structure.ragged else "none",
        gain=float(rng.uniform(low, high)),
        eager=bool(rng.random() < 1 / 40),
    )


@lru_cache(maxsize=2048)
def _structure(number: int) -> Structure:
    rng = np.random.default_rng([0, number])

    def one_of(name: str, *weights: float) -> Any:
        values = OPTIONS[name]
        return values[rng.choice(len(values), p=weights or None)]

    layer = one_of("layer")
    input_size, batch, steps, small, large = rng.permutation(np.arange(1, 10))[:5].tolist()
    projected = layer == "LSTM proj"
    return Structure(
        layer=layer,
        num_layers=one_of("num_layers", 0.4, 0.35, 0.25),
        bias=one_of("bias", 0.7, 0.3),
        batch_first=one_of("batch_first"),
        bidirectional=one_of("bidirectional"),
        batched=one_of("batched", 0.8, 0.2),
        ragged=bool(rng.random() < 0.6),
        hx=one_of("hx"),
        dropout=one_of("dropout"),
        unroll=one_of("unroll", 0.8, 0.2),
        scan=one_of("scan", 0.8, 0.1, 0.1),
        checkpoint_every=one_of("checkpoint_every", 0.8, 0.2),
        dtype=one_of("dtype", 0.7, 0.16, 0.14),
        input_size=input_size,
        hidden_size=max(small, large) if projected else large,
        proj_size=min(small, large) if projected else 0,
        batch=batch,
        steps=steps,
    )


def options(case: Case) -> dict[str, Any]:
    """The values of ``OPTIONS`` that a case has."""
    fields = {**asdict(case.structure), **asdict(case)}
    return {name: fields[name] for name in OPTIONS}


@lru_cache
def drawn(count: int) -> list[Case]:
    """The first cases."""
    return [draw(seed) for seed in range(count)]


def simplest(**wanted: Any) -> Case:
    """The simplest case of the first 10,000 with these options, with several steps and features."""
    wanted = {"dtype": "float64"} | wanted
    fitting = [
        case
        for case in drawn(10_000)
        if wanted.items() <= options(case).items()
        and min(case.structure.steps, case.structure.batch, case.structure.hidden_size) > 1
    ]
    return min(fitting, key=lambda case: (case.structure.num_layers, case.eager, case.seed))


class Data(NamedTuple):
    """Everything numeric in a case, as float64 arrays of values that its dtype can hold."""

    input: np.ndarray
    hx: list[np.ndarray]
    lengths: np.ndarray | None
    weights: dict[str, np.ndarray]
    of_output: np.ndarray
    of_states: list[np.ndarray]


def data_of(case: Case) -> Data:
    """Draw it. The last two fields weigh outputs and final states in the loss."""
    s, rng = case.structure, np.random.default_rng([2, case.seed])

    def held(values: np.ndarray) -> np.ndarray:
        if s.dtype == "float64":
            return values
        values = values.astype(np.float32)
        return values.astype(jnp.bfloat16 if s.dtype == "bfloat16" else np.float32).astype(float)

    directions = 2 if s.bidirectional else 1
    features = s.proj_size or s.hidden_size
    batch = (s.batch,) if s.batched else ()
    time_major = (s.steps, *batch)
    leading = time_major[::-1] if s.batch_first else time_major
    state_sizes = [features, s.hidden_size] if s.layer.startswith("LSTM") else [features]
    state_shapes = [(s.num_layers * directions, *batch, size) for size in state_sizes]

    values = rng.normal(size=(*leading, s.input_size))
    lengths = _draw_lengths(case, rng)
    if lengths is not None:
        behind = np.arange(s.steps).reshape(-1, *(1,) * len(batch)) >= lengths
        behind = behind.T if s.batch_first else behind
        inf = np.where(rng.random(values[behind].shape) < 0.5, np.inf, -np.inf)
        number = 1e3 * rng.normal(size=inf.shape)
        values[behind] = {"nan": np.nan, "inf": inf, "numbers": number}[case.padding]

    bound = case.gain / math.sqrt(s.hidden_size)
    parameters = _torch_module(s, torch.float64).named_parameters()
    return Data(
        input=held(values),
        hx=[held(rng.normal(size=shape)) for shape in state_shapes] if s.hx else [],
        lengths=lengths,
        weights={name: held(rng.uniform(-bound, bound, p.shape)) for name, p in parameters},
        of_output=held(rng.normal(size=(*leading, directions * features))),
        of_states=[held(rng.normal(size=shape)) for shape in state_shapes],
    )


def _draw_lengths(case: Case, rng: np.random.Generator) -> np.ndarray | None:
    steps, count = case.structure.steps, case.structure.batch if case.structure.batched else 1
    if case.lengths == "none":
        return None
    lengths = rng.integers(1, steps + 1, count)
    if case.lengths == "equal":
        lengths[:] = lengths[0]
    elif case.lengths == "full":
        lengths[:] = steps
    elif case.lengths == "zero":
        lengths[rng.random(count) < 0.3] = 0
        lengths[0] = 0
    elif case.lengths == "beyond":
        lengths[rng.random(count) < 0.3] = -2
        lengths[0] = steps + 3
    elif count > 1:
        lengths[:2] = 1, steps
    lengths = rng.permutation(lengths)
    return lengths if case.structure.batched else lengths.reshape(())


class Program(NamedTuple):
    """A layer, its training as one compiled function, and torch's names for its parameters."""

    layer: Any
    train: Callable[..., Any]
    named: Callable[[nnx.State], dict[str, np.ndarray]]


def _scan(s: Structure) -> Scan | str:
    scan: Scan | str = s.scan
    if scan != "auto":
        scan = (Gated if scan == "gated" else Sequential)(unroll=s.unroll)
    return scan if s.checkpoint_every is None else Checkpointed(s.checkpoint_every, scan)


@lru_cache(maxsize=4)
def program(structure: Structure) -> Program:
    """The JAX side of a structure; compiled once for all its cases."""
    s = structure
    kind = {"RNN": RNN, "LSTM": LSTM, "GRU": GRU}[s.layer.split()[0]]
    layer: Any = kind(
        **_arguments(s),
        init=_ZEROS,
        dtype=jnp.dtype(s.dtype),
        scan=_scan(s),
        rngs=nnx.Rngs(0),
    )
    layer.eval()
    graph, _, rest = nnx.split(layer, nnx.Param, ...)
    optimizer = optax.adam(LEARNING_RATE, eps=ADAM_EPS)
    exact = jnp.promote_types(s.dtype, jnp.float32)

    def loss(arguments, lengths, of_output, of_states):
        params, input, hx = arguments
        output, states = nnx.merge(graph, params, rest)(input, hx, lengths=lengths)
        value = jnp.sum(of_output * output.astype(exact))
        for weights, state in zip(of_states, jax.tree.leaves(states), strict=True):
            value += jnp.sum(weights * state.astype(exact))
        return value, (output, states)

    def train(params, input, hx, lengths, of_output, of_states):
        def step(state, _):
            params, memory = state
            (value, results), gradients = jax.value_and_grad(loss, has_aux=True)(
                (params, input, hx), lengths, of_output, of_states
            )
            updates, memory = optimizer.update(gradients[0], memory, params)
            return (optax.apply_updates(params, updates), memory), (value, results, gradients)

        (params, _), history = jax.lax.scan(
            step, (params, optimizer.init(params)), length=_adam_steps(s)
        )
        losses, results, gradients = history
        return params, losses, jax.tree.map(lambda x: x[0], (results, gradients))

    def named(params):
        return torch_state_dict(nnx.merge(graph, params, rest))

    return Program(layer, jax.jit(train), named)


def _arguments(structure: Structure) -> dict[str, Any]:
    """Of the constructor, the same in both frameworks."""
    s = structure
    arguments: dict[str, Any] = {
        "input_size": s.input_size,
        "hidden_size": s.hidden_size,
        "num_layers": s.num_layers,
        "bias": s.bias,
        "batch_first": s.batch_first,
        "dropout": s.dropout,
        "bidirectional": s.bidirectional,
    }
    if s.layer.startswith("RNN"):
        arguments["nonlinearity"] = s.layer.removeprefix("RNN ")
    if s.proj_size:
        arguments["proj_size"] = s.proj_size
    return arguments


def _zeros(shape: tuple[int, ...], dtype: Any) -> Any:
    """Without JAX, which would compile the drawing of every shape, for weights to be replaced."""
    return np.zeros(shape, dtype)


_ZEROS = Scheme(
    name="zeros",
    weight_ih=lambda key, gates, size, fan_in, dtype: _zeros((gates * size, fan_in), dtype),
    weight_hh=lambda key, gates, size, fan_in, dtype: _zeros((gates * size, fan_in), dtype),
    weight_hr=lambda key, size, proj_size, dtype: _zeros((proj_size, size), dtype),
    bias=lambda key, gates, size, fan_in, dtype: _zeros((gates * size,), dtype),
    linear_kernel=lambda fan_in: jax.nn.initializers.zeros,
    linear_bias=lambda fan_in: jax.nn.initializers.zeros,
    embedding=lambda features: jax.nn.initializers.zeros,
)


def compared(structure: Structure) -> tuple[str, ...]:
    """What can be distinguished from rounding.

    A relu whose argument is about 0 is off or on as the last bit decides, and a gradient passes or
    does not: in few bits that happens often enough to be met. And a step of Adam, 0.01, is as small
    as 1 to 5 units in the last place of a bfloat16 weight.
    """
    if structure.dtype == "float64":
        return LEVELS
    if structure.layer == "RNN relu":
        return LEVELS[:1]
    return LEVELS[:2] if structure.dtype == "bfloat16" else LEVELS


def _adam_steps(structure: Structure) -> int:
    return STEPS if "adam" in compared(structure) else 1


def _in_jax(case: Case, data: Data) -> dict[str, np.ndarray]:
    s, dtype = case.structure, jnp.dtype(case.structure.dtype)
    exact = jnp.promote_types(dtype, jnp.float32)
    with jax.enable_x64(s.dtype == "float64"):
        layer, train, named = program(s)
        load_torch_state_dict(layer, data.weights)
        input = data.input.astype(dtype)
        hx: Any = tuple(part.astype(dtype) for part in data.hx)
        hx = None if not hx else hx[0] if len(hx) == 1 else hx
        trained, losses, ((output, states), (of_params, of_input, of_hx)) = train(
            nnx.state(layer, nnx.Param),
            input,
            hx,
            data.lengths,
            data.of_output.astype(exact),
            [weights.astype(exact) for weights in data.of_states],
        )
        found = _named("forward", output, jax.tree.leaves(states))
        found |= _named("gradient", of_input, jax.tree.leaves(of_hx))
        found |= {f"gradient: {k}": v for k, v in named(of_params).items()}
        if "adam" in compared(s):
            found["adam: loss"] = losses
            found |= {f"adam: {k}": v for k, v in named(trained).items()}
        if case.eager:
            lengths = None if data.lengths is None else np.clip(data.lengths, 0, s.steps)
            output, states = layer(jnp.asarray(input), hx, lengths=lengths)
            eager = _named("forward", output, jax.tree.leaves(states))
            found |= {f"{name}{EAGER}": value for name, value in eager.items()}
    return {name: np.asarray(value) for name, value in found.items()}


def _named(level: str, sequence: Any, states: Iterable[Any]) -> dict[str, Any]:
    first = "output" if level == "forward" else "input"
    names = ("h_n", "c_n") if level == "forward" else ("h_0", "c_0")
    values = (sequence, *states)
    return {f"{level}: {name}": x for name, x in zip((first, *names), values, strict=False)}


@lru_cache(maxsize=4)
def _torch_module(structure: Structure, dtype: torch.dtype) -> torch.nn.Module:
    kind = getattr(torch.nn, structure.layer.split()[0])
    return kind(**_arguments(structure), dtype=dtype).eval()


def _in_torch(case: Case, data: Data, dtype: torch.dtype) -> dict[str, np.ndarray]:
    s, module = case.structure, _torch_module(case.structure, dtype)
    exact = torch.promote_types(dtype, torch.float32)
    module.load_state_dict({name: torch.tensor(value) for name, value in data.weights.items()})
    input, *hx = [torch.tensor(x, dtype=dtype, requires_grad=True) for x in (data.input, *data.hx)]
    optimizer = torch.optim.Adam(module.parameters(), lr=LEARNING_RATE, eps=ADAM_EPS)
    lengths = None if data.lengths is None else torch.tensor(data.lengths).clamp(0, s.steps)
    weigh = [torch.tensor(x, dtype=exact) for x in (data.of_output, *data.of_states)]
    zeros = [torch.zeros(x.shape, dtype=dtype) for x in data.of_states]

    found: dict[str, torch.Tensor] = {}
    losses = []
    for step in range(_adam_steps(s)):
        optimizer.zero_grad()
        results = _torch_call(module, s, input, hx, lengths, zeros)
        products = [(w * x.to(exact)).sum() for w, x in zip(weigh, results, strict=True)]
        loss = torch.stack(products).sum()
        if loss.requires_grad:  # not where every length is 0 and there is no hx
            loss.backward()
        if step == 0:
            found |= _named("forward", results[0], results[1:])
            found |= _named("gradient", _gradient(input), [_gradient(x) for x in hx])
            parameters = module.named_parameters()
            found |= {f"gradient: {name}": _gradient(p) for name, p in parameters}
        losses.append(loss.detach())
        optimizer.step()
    if "adam" in compared(s):
        found["adam: loss"] = torch.stack(losses)
        found |= {f"adam: {name}": p for name, p in module.named_parameters()}
    return {name: value.detach().double().numpy() for name, value in found.items()}


def _gradient(x: torch.Tensor) -> torch.Tensor:
    return torch.zeros_like(x) if x.grad is None else x.grad.clone()


def _torch_call(
    module: Any,
    s: Structure,
    input: torch.Tensor,
    hx: list[torch.Tensor],
    lengths: torch.Tensor | None,
    zeros: list[torch.Tensor],
) -> list[torch.Tensor]:
    """Output and final states. Torch refuses length 0, so it sees the other rows alone."""

    def call(input: Any, hx: list[torch.Tensor]) -> tuple[Any, list[torch.Tensor]]:
        output, states = module(input, None if not hx else hx[0] if len(hx) == 1 else tuple(hx))
        return output, list(states) if isinstance(states, tuple) else [states]

    if lengths is None:
        output, states = call(input, hx)
        return [output, *states]
    directions = 2 if s.bidirectional else 1
    nothing = input.new_zeros((*input.shape[:-1], directions * (s.proj_size or s.hidden_size)))
    if not lengths.any():
        return [nothing, *(hx or zeros)]
    if not s.batched:
        output, states = call(input[: int(lengths)], hx)
        return [torch.cat([output, nothing[int(lengths) :]]), *states]
    axis, rows = 0 if s.batch_first else 1, lengths.nonzero().flatten()
    packed = pack_padded_sequence(
        input.index_select(axis, rows), lengths[rows], s.batch_first, enforce_sorted=False
    )
    packed, states = call(packed, [h[:, rows] for h in hx])
    output, _ = pad_packed_sequence(packed, s.batch_first, total_length=s.steps)
    ends = [h.index_copy(1, rows, state) for h, state in zip(hx or zeros, states, strict=True)]
    return [nothing.index_copy(axis, rows, output), *ends]


def run(case: Case) -> dict[str, float]:
    """How far JAX is from torch, by quantity.

    A difference is measured against the largest number in the array that it is found in, or
    against 1 where that is larger.

    Raises:
        Mismatch: an error above ``ALLOWED``, a shape or dtype that differs, a NaN. Whatever else
            the library raises carries a note that names the case.
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "dropout(=| option).*layer")
            warnings.filterwarnings("ignore", "LSTM with projections is not supported with oneDNN")
            data = data_of(case)
            ours = _in_jax(case, data)
            theirs = _in_torch(case, data, getattr(torch, case.structure.dtype))
    except Exception as error:
        error.add_note(f"{describe(case)}\n  {command(case.seed)}")
        raise
    return _compare(case, ours, theirs)


def _compare(
    case: Case, ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]
) -> dict[str, float]:
    dtype, errors = case.structure.dtype, {}
    theirs |= {name: theirs[name.removesuffix(EAGER)] for name in ours if name.endswith(EAGER)}
    if ours.keys() != theirs.keys():
        raise Mismatch(
            case, f"expected the quantities {sorted(theirs)}, got {sorted(ours)}", errors
        )
    for name, expected in theirs.items():
        found = ours[name]
        if found.shape != expected.shape:
            what = f"{name}: expected shape {expected.shape}, got {found.shape}"
            raise Mismatch(case, what, errors)
        if found.dtype.name != dtype and name != "adam: loss":
            what = f"{name}: expected {dtype}, got {found.dtype}"
            raise Mismatch(case, what, errors)
        error = _error(found.astype(float), expected)
        if level(name) in compared(case.structure):
            errors[name] = error
        elif math.isinf(error):
            raise Mismatch(case, f"{name}: expected finite numbers", errors)
    for name, error in errors.items():
        allowed = ALLOWED[dtype][level(name)]
        if error > allowed:
            what = f"{name}: expected an error of {allowed:.0e} at most, got {error:.1e}"
            raise Mismatch(case, what, errors)
    return errors


def level(quantity: str) -> str:
    return quantity.split(":")[0]


def _error(found: np.ndarray, expected: np.ndarray) -> float:
    error = np.max(np.abs(found - expected), initial=0) / np.max(np.abs(expected), initial=1)
    return float(error) if np.isfinite(error) else math.inf


def describe(case: Case) -> str:
    s = case.structure
    sizes = f"I={s.input_size} H={s.hidden_size} B={s.batch} T={s.steps}"
    sizes += f" P={s.proj_size}" if s.proj_size else ""
    chosen = " ".join(f"{name}={value}" for name, value in options(case).items())
    return f"case {case.seed} ({chosen} {sizes})"


def command(seed: int) -> str:
    return f"python -m tools.fuzz --only {seed}"


class Summary:
    """What a run of many cases found."""

    def __init__(self) -> None:
        self.cases = 0
        self.failures: dict[int, str] = {}
        self.quantities: dict[str, dict[str, tuple[float, int]]] = {name: {} for name in ALLOWED}
        self.options: dict[str, dict[Any, dict[str, float]]] = {
            name: {value: {"cases": 0} for value in values} for name, values in OPTIONS.items()
        }

    def add(self, seed: int, errors: dict[str, float], failure: str | None) -> None:
        case = draw(seed)
        dtype = case.structure.dtype
        self.cases += 1
        if failure is not None:
            self.failures[seed] = failure
        for name, error in errors.items():
            name = re.sub(r"_l\d+(_reverse)?$", "", name)
            worst = self.quantities[dtype].get(name, (-1.0, 0))
            self.quantities[dtype][name] = max(worst, (error, seed))
        for option, value in options(case).items():
            row = self.options[option][value]
            row["cases"] += 1
            if dtype == "float64" or option == "dtype":
                for name, error in errors.items():
                    row[level(name)] = max(row.get(level(name), 0.0), error)

    def by_quantity(self) -> Table:
        table = Table("quantity", *ALLOWED, title="Largest error, and the case where it is found")
        names = {name: None for found in self.quantities.values() for name in found}
        for name in sorted(names, key=lambda name: LEVELS.index(level(name))):
            found = (quantities.get(name) for quantities in self.quantities.values())
            table.add_row(name, *(f"{x[0]:.1e} ({x[1]})" if x else "" for x in found))
        for name in LEVELS:
            allowed = (levels.get(name) for levels in ALLOWED.values())
            table.add_row(f"allowed: {name}", *(f"{x:.0e}" if x else "" for x in allowed))
        return table

    def by_option(self) -> Table:
        title = "Largest error in float64 (and in the dtypes, each)"
        table = Table("option", "value", "cases", *LEVELS, title=title)
        for option, rows in self.options.items():
            for value, row in rows.items():
                found = (f"{row[name]:.1e}" if name in row else "" for name in LEVELS)
                table.add_row(option, str(value), str(row["cases"]), *found)
        return table

    def as_json(self) -> dict[str, Any]:
        return {
            "cases": self.cases,
            "failures": self.failures,
            "allowed": ALLOWED,
            "quantities": {
                dtype: {name: {"error": x[0], "seed": x[1]} for name, x in found.items()}
                for dtype, found in self.quantities.items()
            },
            "options": {
                option: {str(value): row for value, row in rows.items()}
                for option, rows in self.options.items()
            },
        }


def _run_seeds(seeds: list[int]) -> list[tuple[int, dict[str, float], str | None]]:
    """Cases of one structure, in a process of their own or in this one."""
    found = []
    for seed in seeds:
        try:
            found.append((seed, run(draw(seed)), None))
        except Mismatch as error:
            found.append((seed, error.errors, str(error)))
        except Exception:
            found.append((seed, {}, traceback.format_exc()))
    if program.cache_info().misses >= 20:
        program.cache_clear()
        jax.clear_caches()  # programs that no seed will ask for again
    return found


def _prepare() -> None:
    jax.config.update("jax_platforms", "cpu")
    torch.set_num_threads(1)


def _run_all(seeds: Iterable[int], processes: int) -> Iterator[Any]:
    blocks = [list(block) for _, block in groupby(seeds, lambda seed: seed // CASES_PER_STRUCTURE)]
    if processes == 1:
        _prepare()
        for block in blocks:
            yield from _run_seeds(block)
        return
    with ProcessPoolExecutor(processes, get_context("spawn"), _prepare) as pool:
        for done in as_completed([pool.submit(_run_seeds, block) for block in blocks]):
            yield from done.result()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m tools.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=1000, metavar="N", help="how many")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the first case")
    parser.add_argument("--processes", type=int, default=1, metavar="N")
    parser.add_argument("--only", type=int, metavar="SEED", help="run this case alone, in full")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the summary there")
    asked = parser.parse_args(arguments)
    console = Console(highlight=False, markup=False)

    first, cases = (asked.seed, asked.cases) if asked.only is None else (asked.only, 1)
    if asked.only is not None:
        console.print(describe(draw(asked.only)))
    summary, start = Summary(), time.perf_counter()
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=cases)
        for seed, errors, failure in _run_all(range(first, first + cases), asked.processes):
            summary.add(seed, errors, failure)
            progress.advance(task)
            if failure is not None:
                console.print(f"FAILED {failure}", style="red")
            if not console.is_terminal and summary.cases % 500 == 0:
                spent = (time.perf_counter() - start) / 60
                console.print(f"{summary.cases} cases, {spent:.1f} minutes")
    console.print(summary.by_quantity())
    if asked.only is None:
        console.print(summary.by_option())
    minutes = (time.perf_counter() - start) / 60
    console.print(
        f"{summary.cases} cases, {len(summary.failures)} failures, {minutes:.1f} minutes",
        style="red" if summary.failures else "green",
    )
    for seed in summary.failures:
        console.print(command(seed))
    if asked.json is not None:
        asked.json.write_text(json.dumps(summary.as_json() | {"minutes": minutes}, indent=2))
    return 1 if summary.failures else 0


if __name__ == "__main__":
    sys.exit(main())
