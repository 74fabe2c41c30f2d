"""The activations of the gates of a cell, by name."""

from typing import Any

import jax
from jax.extend import core

from jax_rnn.analysis.trajectory import trajectory
from jax_rnn.base.typing import Array, describe
from jax_rnn.cells.base import call
from jax_rnn.cells.gated import GatedCell, Maps, named_gates

__all__ = ["gate_activations"]

NONLINEAR = {"logistic", "tanh", "max", "erf", "exp", "log1p", "log"}
"""Primitives that end what counts as the argument of a gate."""


def gate_activations(cell: GatedCell, x: Any, carry: Any = None) -> dict[str, Array]:
    """The activation of every gate of a ``GatedCell`` at every step.

    The activation of a gate is the first function other than sums and products that ``update``
    applies to it, e.g. the logistic function of i, f and o of an LSTM and the tanh of g. It is read
    from the program of ``update``, so it works for cells of one's own.

    Args:
        cell: the cell, without wrappers.
        x: inputs, time-major, (T, *batch, I).
        carry: the first state; None (default) is ``initialize_carry``.

    Returns:
        Gate -> activations, (T, *batch, H). A gate that reaches no such function alone is absent.

    Raises:
        TypeError: not a ``GatedCell``.
    """
    if not isinstance(cell, GatedCell):
        raise TypeError(
            f"gate_activations: expected a GatedCell, got {describe(cell)}; other kinds have no "
            "gates with names"
        )
    carries, _ = trajectory(cell, x, carry)

    def step(carry: Any, x: Array) -> dict[str, Array]:
        h = cell.recur(call(cell.hidden_input, carry))
        gates = [
            Maps(a, b) if name in cell.separate else a + b
            for name, a, b in zip(cell.gates, cell.project(x), h, strict=True)
        ]

        def update(gates: Any, carry: Any) -> Any:
            return call(cell.update, named_gates(type(cell).gates)(*gates), carry)

        program = jax.make_jaxpr(update)(gates, carry)
        names = [
            name
            for name, gate in zip(cell.gates, gates, strict=True)
            for _ in jax.tree.leaves(gate)
        ]
        values = jax.tree.leaves((gates, carry))
        owners = [{name} for name in names] + [set()] * (len(values) - len(names))
        found: dict[str, Array] = {}
        _evaluate(program.jaxpr, program.consts, values, owners, found)
        return found

    found = jax.jit(jax.vmap(step))(carries, x)
    return {name: found[name] for name in cell.gates if name in found}


def _evaluate(
    jaxpr: Any, consts: Any, values: Any, owners: list[set[str]], found: dict[str, Array]
) -> tuple[list[Any], list[set[str]]]:
    """Run a program; ``found`` gets the first nonlinear function of each gate.

    Beside each value go its owners, the gates that it is a sum or product of.
    """
    known: dict[Any, Any] = dict(zip(jaxpr.constvars, consts, strict=True))
    known |= dict(zip(jaxpr.invars, values, strict=True))
    owned: dict[Any, set[str]] = dict(zip(jaxpr.invars, owners, strict=True))
    for equation in jaxpr.eqns:
        inputs = [_read(known, v) for v in equation.invars]
        of = [_owners(owned, v) for v in equation.invars]
        inner = equation.params.get("jaxpr") or equation.params.get("call_jaxpr")
        if inner is not None and hasattr(inner, "jaxpr"):
            outputs, theirs = _evaluate(inner.jaxpr, inner.consts, inputs, of, found)
        else:
            result = equation.primitive.bind(*inputs, **equation.params)
            outputs = result if equation.primitive.multiple_results else [result]
            together = set().union(*of)
            if equation.primitive.name in NONLINEAR:
                if len(together) == 1:
                    found.setdefault(together.pop(), outputs[0])
                together = set()
            theirs = [together] * len(outputs)
        for variable, value, owner in zip(equation.outvars, outputs, theirs, strict=True):
            known[variable], owned[variable] = value, owner
    outputs = [_read(known, v) for v in jaxpr.outvars]
    return outputs, [_owners(owned, v) for v in jaxpr.outvars]


def _read(known: dict[Any, Any], variable: Any) -> Any:
    return variable.val if isinstance(variable, core.Literal) else known[variable]


def _owners(owned: dict[Any, set[str]], variable: Any) -> set[str]:
    return set() if isinstance(variable, core.Literal) else owned.get(variable, set())
