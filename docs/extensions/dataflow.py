"""The data flow of one step of a cell, read from its program.

The program is that of ``update``, whose inputs are the gates, or of the whole step. What only moves
numbers is left out, what depends on parameters alone belongs to the operation that uses it, and a
product with a parameter, with the sums around it, is one affine map.
"""

from dataclasses import dataclass, field
from itertools import count
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Literal

from jax_rnn.cells.base import Cell
from jax_rnn.cells.gated import GatedCell, Maps, named_gates

__all__ = ["Flow", "Node", "dataflow"]

MOVES = {
    "broadcast_in_dim", "concatenate", "convert_element_type", "copy", "copy_p", "expand_dims",
    "optimization_barrier", "reshape", "slice", "squeeze", "stop_gradient", "transpose",
}  # fmt: skip
NAMES = {
    "add": "+", "add_any": "+", "sub": "−", "mul": "×", "div": "÷", "max": "max", "min": "min",
    "neg": "−", "logistic": "σ", "tanh": "tanh", "exp": "exp", "log": "log", "log1p": "log(1+·)",
    "expm1": "exp−1", "abs": "|·|", "sqrt": "√", "rsqrt": "1/√", "square": "²", "sin": "sin",
    "cos": "cos", "real": "Re", "imag": "Im", "complex": "Re, Im", "reduce_sum": "Σ",
    "dot_general": "·", "erf": "erf", "select_n": "choose", "sign": "sign", "reduce_max": "max",
    "eq": "=",
}  # fmt: skip
FUNCTIONS = {"softplus", "relu", "silu", "log_sigmoid", "sigmoid", "gelu", "elu"}
"""Functions of jax.nn that are one operation."""

LINEAR = {"dot_general", "conv_general_dilated"}
SUMS = {"add", "add_any"}


@dataclass
class Node:
    """An operation, an input or an output."""

    label: str
    kind: str
    """"input", "gate", "map", "operation" or "output"."""
    sources: list[int] = field(default_factory=list)


@dataclass
class Flow:
    """Nodes by number, each after its sources."""

    nodes: dict[int, Node] = field(default_factory=dict)
    numbers: Any = field(default_factory=count)

    def add(self, label: str, kind: str, *sources: int) -> int:
        number = next(self.numbers)
        self.nodes[number] = Node(label, kind, list(dict.fromkeys(sources)))
        return number


CONSTANT = -1


def dataflow(cell: Cell) -> Flow:
    """The flow from x, or the gates, and the carry, to the new carry and y."""
    shape = (1, 4, 4, cell.input_size) if cell.num_feature_axes == 3 else (1, cell.input_size)
    carry = cell.initialize_carry(shape)
    x = jax.ShapeDtypeStruct(shape, cell.dtype)
    flow = Flow()
    if isinstance(cell, GatedCell):
        gates = jax.eval_shape(lambda c, x: _gates(cell, c, x), carry, x)
        names = named_gates(type(cell).gates)

        def step(gates: Any, carry: Any) -> Any:
            return cell.update(names(*gates), carry)

        program, out = jax.make_jaxpr(step, return_shape=True)(gates, carry)
        values = [flow.add(name, "gate") for name in _gate_names(cell)]
    else:
        program, out = jax.make_jaxpr(lambda x, carry: cell(carry, x), return_shape=True)(x, carry)
        values = [flow.add("x", "input")]
    values += [flow.add(f"{name}(t−1)", "input") for name in carry._fields]
    results = _read(flow, program.jaxpr, values)
    _outputs(flow, [f"{name}(t)" for name in type(out[0])._fields], results)
    _join_norms(flow)
    return _pruned(flow)


def _gates(cell: Any, carry: Any, x: Any) -> tuple[Any, ...]:
    maps = zip(cell.gates, cell.project(x), cell.recur(cell.hidden_input(carry)), strict=True)
    return tuple(Maps(a, b) if name in cell.separate else a + b for name, a, b in maps)


def _gate_names(cell: Any) -> list[str]:
    both = {name: (f"{name}.x", f"{name}.h") for name in cell.separate}
    return [part for name in cell.gates for part in both.get(name, (name,))]


def _outputs(flow: Flow, fields: list[str], results: list[int]) -> None:
    """Nodes of the new carry and of y, which is drawn with the field that it equals."""
    *carry, y = results
    names = [[name] for name in fields]
    if y in carry:
        names[carry.index(y)].append("y(t)")
    else:
        names.append(["y(t)"])
        carry.append(y)
    for name, source in zip(names, carry, strict=True):
        flow.add(", ".join(name), "output", source)


def _read(flow: Flow, jaxpr: Any, values: list[int]) -> list[int]:
    """Add the operations of a program; return the nodes of its results."""
    known: dict[Any, int] = dict(zip(jaxpr.invars, values, strict=True))
    numbers: dict[Any, float] = {}

    def find(variable: Any) -> int:
        return CONSTANT if isinstance(variable, Literal) else known.get(variable, CONSTANT)

    def number(variable: Any) -> float | None:
        if isinstance(variable, Literal):
            return float(variable.val) if jnp.ndim(variable.val) == 0 else None
        return numbers.get(variable)

    for equation in jaxpr.eqns:
        sources = [find(variable) for variable in equation.invars]
        if all(source == CONSTANT for source in sources):
            value = number(equation.invars[0]) if len(sources) == 1 else None
            if equation.primitive.name in MOVES and value is not None:
                numbers[equation.outvars[0]] = value
            continue
        found = _operation(flow, equation, sources, [number(v) for v in equation.invars])
        known |= dict(zip(equation.outvars, found, strict=True))
    return [find(variable) for variable in jaxpr.outvars]


def _operation(
    flow: Flow, equation: Any, sources: list[int], numbers: list[float | None]
) -> list[int]:
    """The nodes of the results of an equation, one of whose sources is not constant."""
    name, inputs = equation.primitive.name, [s for s in sources if s != CONSTANT]
    inner = next((p for p in equation.params.values() if hasattr(p, "jaxpr")), None)
    called = str(equation.params.get("name", ""))
    if called in FUNCTIONS or (inner is None and called):
        label = "σ" if called == "sigmoid" else called
        return [flow.add(label, "operation", *inputs)]
    if inner is not None:
        return _read(flow, inner.jaxpr, sources[len(sources) - len(inner.jaxpr.invars) :])
    if name == "split":
        node = flow.nodes[inputs[0]]
        if node.kind == "map":
            return [flow.add(node.label, "map", *node.sources) for _ in equation.outvars]
        return inputs * len(equation.outvars)
    if name in MOVES:
        return [inputs[0] if len(set(inputs)) == 1 else flow.add(",", "operation", *inputs)]
    kinds = {flow.nodes[source].kind for source in inputs}
    if name in LINEAR and len(inputs) == 1:
        return [flow.add("affine", "map", *inputs)]
    if name in SUMS and kinds == {"map"}:
        if len(inputs) == 1:
            return inputs
        both = [s for source in inputs for s in flow.nodes[source].sources]
        return [flow.add("affine", "map", *both)]
    return [flow.add(_label(name, equation, sources, numbers), "operation", *inputs)]


def _label(name: str, equation: Any, sources: list[int], numbers: list[float | None]) -> str:
    """The symbol of an operation, with the constant that it has as an operand."""
    symbol = NAMES.get(name, name)
    if name == "integer_pow":
        power = equation.params["y"]
        return {2: "²", -1: "1/·"}.get(power, f"^{power}")
    if len(sources) != 2 or CONSTANT not in sources or symbol not in "+−×÷":
        return symbol
    first = sources[0] == CONSTANT
    value = numbers[0 if first else 1]
    constant = "w" if value is None else f"{value:.3g}"
    return f"{constant} {symbol} ·" if first and symbol in "−÷" else f"{symbol} {constant}"


def _join_norms(flow: Flow) -> None:
    """(u - mean) / sqrt(variance), with the scale and bias after it, is one operation."""
    nodes = flow.nodes
    for node in nodes.values():
        labels = [nodes[source].label for source in node.sources if source != CONSTANT]
        if node.label == "×" and labels == ["−", "1/√"]:
            node.label, node.sources = "norm", nodes[node.sources[0]].sources[:1]
        elif node.label in ("× w", "+ w") and labels == ["norm"]:
            node.label, node.sources = "norm", nodes[node.sources[0]].sources


def _pruned(flow: Flow) -> Flow:
    """The nodes that an output needs, and all inputs that are used."""
    needed: set[int] = set()
    for number in reversed(flow.nodes):
        node = flow.nodes[number]
        if node.kind == "output" or number in needed:
            needed |= {number, *node.sources}
    return Flow({n: node for n, node in flow.nodes.items() if n in needed and n != CONSTANT})
