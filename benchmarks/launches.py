"""Count what a compiled program launches, from the text of its optimized HLO.

An accelerator executes the instructions of a program one after the other, and every one has a fixed
cost. On a GPU an instruction is a kernel or a copy, on a TPU a fused loop or a copy. Parameters,
constants, tuples and bitcasts are names of memory and execute nothing.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Loop", "Program", "Work", "count"]

Computations = Mapping[str, list["Instruction"]]

COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\{$")
INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?[\w.\-]+ = (.*?) ([a-z][\w\-]*)\((.*)$")
CALLED = re.compile(r"(?:to_apply|calls)=%?([\w.\-]+)")
WHILE = re.compile(r"condition=%?([\w.\-]+), body=%?([\w.\-]+)")
TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"\}')
BRANCHES = re.compile(r"branch_computations=\{([^}]*)\}")
TWO_BRANCHES = re.compile(r"(?:true|false)_computation=%?([\w.\-]+)")
CYCLES = re.compile(r'"estimated_cycles":"(\d+)"')
SCALAR = re.compile(r"\w+\[\]")

FREE = {
    "parameter",
    "constant",
    "bitcast",
    "tuple",
    "get-tuple-element",
    "after-all",
    "opt-barrier",
}
FREE |= {"partition-id", "replica-id", "domain"}

COPIES = {"copy", "slice", "dynamic-slice", "dynamic-update-slice"}
"""Instructions that only move data, where they stand alone."""

OWN = 'custom_call_target="tpu_custom_call"'

MEMORY = ('custom_call_target="AllocateBuffer"', 'custom_call_target="ConcatBitcast"')
"""Custom calls of the TPU compiler that name memory."""


@dataclass(frozen=True)
class Instruction:
    type: str
    op: str
    rest: str
    """Its arguments and attributes."""

    @property
    def calls(self) -> list[str]:
        return CALLED.findall(self.rest)


@dataclass
class Work:
    """What one execution of a list of instructions launches.

    Attributes:
        kernels: fusions, products, reductions, custom calls.
        copies: copies and slices from memory to memory.
        cycles: the compiler's estimates, of the instructions for which it makes one.
        own_kernels: kernels that are no work of XLA, for which it makes no estimate.
    """

    kernels: int = 0
    copies: int = 0
    cycles: int = 0
    own_kernels: int = 0

    @property
    def launches(self) -> int:
        return self.kernels + self.copies


@dataclass
class Loop(Work):
    """One iteration of a loop, without the loops in it.

    Attributes:
        iterations: how often it is executed; those of the loops around it multiplied in.
    """

    iterations: int = 1


@dataclass
class Program:
    """A compiled program.

    Attributes:
        outside: what it launches outside of loops.
        loops: its loops.
    """

    outside: Work = field(default_factory=Work)
    loops: list[Loop] = field(default_factory=list)

    @property
    def launches(self) -> int:
        """Of the whole program."""
        return self.outside.launches + self.launches_in_loops

    @property
    def launches_in_loops(self) -> int:
        return sum(loop.iterations * loop.launches for loop in self.loops)

    @property
    def cycles(self) -> int | None:
        """Of the whole program; None if it has kernels that XLA does not estimate."""
        if any(work.own_kernels for work in (self.outside, *self.loops)):
            return None
        return self.outside.cycles + sum(loop.iterations * loop.cycles for loop in self.loops)


def count(text: str, *, scalars: bool = True) -> Program:
    """Count the launches of a program.

    Args:
        text: optimized HLO, as of ``jax.stages.Compiled.as_text``.
        scalars: whether an instruction on a single number is a launch: on a GPU it is, a TPU has a
            unit for them.

    Raises:
        ValueError: no program, or a loop whose number of iterations is unknown.
    """
    computations, entry = _computations(text)
    program = Program()
    _walk(computations, entry, program.outside, 1, program, scalars)
    return program


def _walk(
    computations: Computations,
    name: str,
    place: Work,
    iterations: int,
    program: Program,
    scalars: bool,
) -> None:
    """Add the instructions of a computation, executed ``iterations`` times, to ``place``."""
    for instruction in computations[name]:
        op = instruction.op.removesuffix("-start")
        if op in FREE or op.endswith(("-done", "-update")):
            continue
        if op == "while":
            trips, body = _loop(computations, instruction)
            loop = Loop(iterations=iterations * trips)
            program.loops.append(loop)
            _walk(computations, body, loop, loop.iterations, program, scalars)
        elif op in ("call", "async"):
            for called in instruction.calls:
                _walk(computations, called, place, iterations, program, scalars)
        elif op == "conditional":
            _walk_branches(computations, instruction, place, iterations, program, scalars)
        else:
            _add(computations, instruction, op, place, scalars)


def _loop(computations: Computations, instruction: Instruction) -> tuple[int, str]:
    """The number of iterations of a loop, and its body.

    The GPU compiler states the number. The TPU compiler does not, and it is the bound that the
    condition compares the counter with: JAX's loops count from 0.
    """
    found = WHILE.search(instruction.rest)
    assert found, "a while instruction has a condition and a body"
    condition, body = found.groups()
    if stated := TRIPS.search(instruction.rest):
        return int(stated[1]), body
    test = computations[condition]
    bounds = [inner.rest.partition(")")[0] for inner in test if inner.op == "constant"]
    below = any(inner.op == "compare" and "direction=LT" in inner.rest for inner in test)
    if len(bounds) != 1 or not below:
        raise ValueError(f"expected loops of a known number of iterations, got {condition}")
    return int(bounds[0]), body


def _walk_branches(
    computations: Computations,
    instruction: Instruction,
    place: Work,
    iterations: int,
    program: Program,
    scalars: bool,
) -> None:
    """Add the branch with the most launches."""
    listed = BRANCHES.search(instruction.rest)
    names = re.findall(r"[\w.\-]+", listed[1]) if listed else TWO_BRANCHES.findall(instruction.rest)
    branches = [Program() for _ in names]
    for name, branch in zip(names, branches, strict=True):
        _walk(computations, name, branch.outside, iterations, branch, scalars)
    longest = max(branches, key=lambda branch: branch.launches, default=Program())
    place.kernels += longest.outside.kernels
    place.copies += longest.outside.copies
    place.cycles += longest.outside.cycles
    place.own_kernels += longest.outside.own_kernels
    program.loops += longest.loops


def _add(
    computations: Computations, instruction: Instruction, op: str, place: Work, scalars: bool
) -> None:
    if any(words in instruction.rest for words in MEMORY):
        return
    if not scalars and op != "fusion" and SCALAR.match(instruction.type):
        return
    if op in COPIES or _is_copy(computations, instruction):
        place.copies += 1
    else:
        place.kernels += 1
    cycles = CYCLES.search(instruction.rest)
    place.cycles += int(cycles[1]) if cycles else 0
    place.own_kernels += OWN in instruction.rest


def _is_copy(computations: Computations, instruction: Instruction) -> bool:
    """Whether a fusion only moves a slice, which a GPU runs as a copy."""
    if '"name":"dynamic_slice_fusion"' not in instruction.rest:
        return False
    (called,) = instruction.calls
    return all(inner.op != "custom-call" for inner in computations[called])


def _computations(text: str) -> tuple[dict[str, list[Instruction]], str]:
    """The instructions of every computation by its name, and the name of the entry."""
    found: dict[str, list[Instruction]] = {}
    entry, current = "", []
    for line in text.splitlines():
        if header := COMPUTATION.match(line):
            current = found.setdefault(header[2], [])
            entry = header[2] if header[1] else entry
        elif match := INSTRUCTION.match(line):
            current.append(Instruction(*match.groups()))
    if not entry:
        raise ValueError("expected the text of a compiled program, got no ENTRY computation")
    return found, entry
