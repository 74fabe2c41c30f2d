"""Checks with the transformations of JAX: gradients, vmap, checkpointing, export."""

import jax
import numpy as np
from flax import nnx
from jax import export, lax

from jax_rnn.cells.inputs import shape_of
from jax_rnn.scans.runner import run
from jax_rnn.testing.advice import GUARD, LAST_AXIS
from jax_rnn.testing.candidate import Candidate, Wrong, agree, named, sequential
from jax_rnn.testing.compiled import compiled

__all__ = ["checkpoint", "gradients", "symbolic", "transforms"]


def gradients(c: Candidate) -> None:
    fields = c.initial._asdict()
    start = c.variables | {"carry": {name: fields[name] for name in c.variables["carry"]}}
    for name, leaf in c.definition(variables=start).items():
        if not np.isfinite(leaf).all():
            raise Wrong(
                f"{name} that is not finite, from the initial carry",
                f"make step differentiable at the initial carry, mostly zeros: {GUARD}",
            )
    leaves, structure = jax.tree.flatten(jax.tree.map(np.asarray, c.variables))
    gradients = c.definition()

    def loss(k, shift):
        moved = [*leaves[:k], leaves[k] + shift, *leaves[k + 1 :]]
        return float(c.definition(variables=structure.unflatten(moved))["loss"])

    for k, name in enumerate(named(c.variables)):
        direction = np.asarray(c.normal(*leaves[k].shape, like=leaves[k], seed=6))
        claimed = float((np.array(gradients[f"gradient of {name}"]) * direction).sum().real)
        for size in (1e-5, 1e-6):  # the second step size for a kink near the first
            measured = (loss(k, size * direction) - loss(k, -size * direction)) / (2 * size)
            if abs(claimed - measured) <= 1e-6 * max(1.0, abs(measured)):
                break
        else:
            raise Wrong(
                f"{claimed:.6g} from jax.grad and {measured:.6g} from finite differences, with "
                f"respect to {name} in a random direction",
                "check the rules of jax.custom_vjp, and whether lax.stop_gradient, a rounding or "
                'a comparison blocks a gradient; if this is intended, use skip=["gradients"]',
            )


def transforms(c: Candidate) -> None:
    rows = {name: 1 if name == "y" else 0 for name in c.cotangent}
    axes = {"params": None, "carry": 0, "x": 1, "context": 0}
    variables = {name: axes[name] for name in c.variables}
    fixed = {name: axes[name] for name in c.fixed}
    batched = compiled(jax.vmap(c.graded(sequential), in_axes=(variables, fixed, rows)))
    out = batched(c.variables, c.fixed, c.cotangent)
    for name in out:
        if name == "y" or name.startswith("gradient of x"):
            out[name] = np.swapaxes(out[name], 0, 1)
        elif "carry." not in name and "context" not in name:
            out[name] = np.array(out[name]).sum(0)
    agree(out, c.definition(), "under jax.vmap", LAST_AXIS)


def checkpoint(c: Candidate) -> None:
    def scan(cell, carry, xs, context):
        step = jax.checkpoint(lambda carry, x: cell(carry, x, context))
        return lax.scan(step, carry, xs)

    run = compiled(c.graded(scan))
    agree(
        run(c.variables, c.fixed, c.cotangent),
        c.definition(),
        "under jax.checkpoint",
        "make step deterministic, since it is recomputed in the backward pass",
    )


def symbolic(c: Candidate) -> None:
    """A program for any batch and length is exported; its values are those of other checks."""
    steps, batch = export.symbolic_shape("T, B")
    graphdef, state = nnx.split(c.cell)

    def any_batch(leaf, axis, size):
        shape = (*leaf.shape[:axis], size, *leaf.shape[axis + 1 :])
        return jax.ShapeDtypeStruct(shape, leaf.dtype)

    one = jax.tree.map(lambda leaf: any_batch(leaf, 0, batch), c.example(c.batch))
    xs = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((steps, *leaf.shape), leaf.dtype), one)
    context = jax.tree.map(lambda leaf: any_batch(leaf, 0, batch), c.context)

    def program(state, xs, context):
        cell = nnx.merge(graphdef, state)
        return run(cell, cell.initialize_carry(shape_of(one)), xs, context=context)[1]

    export.export(jax.jit(program), platforms=["cpu"])(state, xs, context)
