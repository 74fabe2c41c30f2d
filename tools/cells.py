"""The table of all cells in docs/cells/literature.md, made from the cells.

python -m tools.cells            print it
python -m tools.cells --write    write it into the page
"""

import argparse
import math
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from jax_rnn.cells.affine import AffineCell
from jax_rnn.cells.base import Cell
from jax_rnn.cells.catalogue import CATALOGUE, Entry
from jax_rnn.cells.gated import GatedCell
from jax_rnn.cells.linear import LinearCell
from jax_rnn.scans.choice import NAMES

PAGE = Path(__file__).parents[1] / "docs" / "cells" / "literature.md"
BEGIN, END = "<!-- table -->\n", "<!-- end of table -->\n"
SIZE, IMAGE = 256, (8, 8)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help="write the table into the page")
    if not parser.parse_args().write:
        print(table(), end="")
        return
    before, rest = PAGE.read_text("utf-8").split(BEGIN)
    PAGE.write_text(before + BEGIN + table() + END + rest.split(END)[1], "utf-8")


class Facts(NamedTuple):
    """What is known of a cell with I = H = 256 without running it."""

    kind: str
    scans: str
    parameters: int
    operations: int

    @property
    def short_parameters(self) -> str:
        return short(self.parameters)

    @property
    def short_operations(self) -> str:
        return short(self.operations)


def table() -> str:
    """The table, in Markdown."""
    rows = ["| cell | source | kind | scans | parameters | operations a step |", "| --- " * 6 + "|"]
    for name, entry in CATALOGUE.items():
        found = facts(entry)
        rows.append(
            f"| `{entry.kind.__name__}`, {name} | {entry.source} | {found.kind} | {found.scans} | "
            f"{found.short_parameters} | {found.short_operations} |"
        )
    return "\n".join(rows) + "\n"


def facts(entry: Entry) -> Facts:
    with jax.enable_x64(False):
        cell = entry.build(SIZE, SIZE, rngs=nnx.Rngs(0))
        numbers = sum(leaf.size for leaf in jax.tree.leaves(nnx.state(cell, nnx.Param)))
        scans = ", ".join(name for name, scan in NAMES.items() if scan.supports(cell))
        shape = (*IMAGE, SIZE) if cell.num_feature_axes == 3 else (SIZE,)
        carry = jax.eval_shape(lambda: cell.initialize_carry(shape))
        x = jax.ShapeDtypeStruct(shape, jnp.float32)
        program = jax.make_jaxpr(lambda carry, x: cell(carry, x))(carry, x)
    return Facts(kind(cell), scans, numbers, operations(program.jaxpr))


def kind(cell: Cell) -> str:
    for base in (GatedCell, LinearCell, AffineCell):
        if isinstance(cell, base):
            return base.__name__
    return "Cell"


def operations(jaxpr: Any) -> int:
    """Multiplications and additions of a program, and one for any other result."""
    total = 0
    for equation in jaxpr.eqns:
        inner = [p for p in equation.params.values() if hasattr(p, "jaxpr") or hasattr(p, "eqns")]
        out = sum(math.prod(v.aval.shape) for v in equation.outvars)
        name = equation.primitive.name
        if inner:
            total += sum(operations(getattr(p, "jaxpr", p)) for p in inner)
        elif name == "dot_general":
            (left, _), _ = equation.params["dimension_numbers"]
            total += 2 * out * math.prod(equation.invars[0].aval.shape[axis] for axis in left)
        elif name == "conv_general_dilated":
            total += 2 * out * math.prod(equation.invars[1].aval.shape[:3])
        elif name not in MOVES:
            total += out
    return total


MOVES = {"reshape", "broadcast_in_dim", "squeeze", "transpose", "slice", "concatenate", "split"}
MOVES |= {"convert_element_type", "copy", "iota", "expand_dims"}
"""Operations that compute nothing."""


def short(number: int) -> str:
    """Two digits, e.g. 530k."""
    if number < 1000:
        return str(number)
    power = 1000 if number < 999_500 else 1_000_000
    return f"{number / power:.3g}{'k' if power == 1000 else 'M'}"


if __name__ == "__main__":
    main()
