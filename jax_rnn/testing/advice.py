"""Advice for cells that fail a check."""

__all__ = [
    "FLAX",
    "GUARD",
    "HASHABLE",
    "LAST_AXIS",
    "NAMED",
    "NOISE",
    "PURE",
    "UPDATE",
]

PURE = "do not write to the cell in step; keep its state in the carry"

GUARD = "guard norms, divisions, sqrt and log, e.g. sqrt(sum(x**2) + eps)"

HASHABLE = "use numbers, strings, tuples or functions as attributes of the cell, not lists or dicts"

LAST_AXIS = (
    "use the last axis (axis=-1) in every sum and mean, and keep the others in every reshape: "
    "(*batch, features), with any number of batch axes"
)

NOISE = (
    "take all random numbers from the third argument of step or update, a Noise with those of the "
    "step and those of the sequence, and draw them in noise and sequence_noise"
)

UPDATE = (
    "compute update from its arguments and the parameters, row by row, or run the cell with "
    "scan='sequential'"
)

FLAX = "keep Flax's signature, initialize_carry(self, input_shape, rngs=None, carry_init=None)"

NAMED = (
    "make every nnx.Param an attribute of the cell or of a module in it, or put several "
    "of them in nnx.List or nnx.Dict: in a tuple they have no name in a state dict"
)
