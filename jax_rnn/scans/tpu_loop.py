"""A loop over time as one Pallas kernel, whose carry and weights stay in the memory of a TPU core.

The grid of the kernel is (blocks of rows, blocks of steps), and its programs run one after another.
A block of an input or output of all steps is copied while the program before it runs. The blocks of
the carry and of what is the same in all steps do not depend on the step, so that they are copied
once for each block of rows, and the weights once.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jax_rnn.scans.tpu_memory import Blocks, Limits, blocks_of

__all__ = ["loop"]


def loop(
    step: Callable[..., Any],
    carry: Any,
    xs: Any,
    rows: Any,
    weights: Any,
    *,
    reverse: bool,
    limits: Limits,
    name: str,
) -> tuple[Any, Any]:
    """``lax.scan`` of ``step(carry, x, rows, weights)``, which returns the new carry and outputs.

    Args:
        step: must treat the rows of a batch alike, and independently of each other.
        carry, rows: trees of arrays (B, K).
        xs: a tree of arrays (T, B, K).
        weights: a tree of arrays of any shape, which the step reads as references.
        reverse: from the last step to the first.
        limits: of the memory and of the blocks.
        name: of the kernel, in messages and profiles.

    Raises:
        ValueError: the kernel needs more memory than there is.
    """
    from jax.experimental import pallas as pl
    from jax.experimental.pallas import tpu as pltpu

    inputs = jax.tree.map(_as_number, (carry, rows, weights, xs))
    dtypes = jax.tree.map(lambda leaf: leaf.dtype, (rows, xs))
    first = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), xs)
    last, each = jax.eval_shape(step, carry, first, rows, weights)
    total, count = jax.tree.leaves(xs)[0].shape[:2]
    ys = jax.tree.map(lambda y: jax.ShapeDtypeStruct((total, *y.shape), y.dtype), each)
    blocks = blocks_of(Blocks((inputs[3], ys), (*inputs[:2], last), weights), limits, name)

    def place(b: Any, t: Any) -> tuple[Any, Any, int]:
        return (total // blocks.steps - 1 - t if reverse else t), b, 0

    def of_steps(leaf: Any) -> Any:
        return pl.BlockSpec((blocks.steps, blocks.rows, leaf.shape[-1]), place)

    def of_rows(leaf: Any) -> Any:
        return pl.BlockSpec((blocks.rows, leaf.shape[-1]), lambda b, t: (b, 0))

    def of_weights(leaf: Any) -> Any:
        once = pl.Buffered(1)
        return pl.BlockSpec(leaf.shape, lambda b, t: (0,) * leaf.ndim, pipeline_mode=once)

    kinds = of_rows, of_rows, of_weights, of_steps
    in_specs = [
        kind(leaf) for kind, tree in zip(kinds, inputs, strict=True) for leaf in _flat(tree)
    ]
    out_specs = [*map(of_rows, _flat(last)), *map(of_steps, _flat(ys))]
    structures = jax.tree.structure(inputs), jax.tree.structure((last, ys))

    def kernel(*refs: Any) -> None:
        before, rows, weights, xs = structures[0].unflatten(refs[: len(in_specs)])
        state, ys = structures[1].unflatten(refs[len(in_specs) :])

        @pl.when(pl.program_id(1) == 0)
        def _():
            jax.tree.map(_write, state, _read(before))

        def body(k: Any, carry: Any) -> Any:
            k = blocks.steps - 1 - k if reverse else k
            own = jax.tree.map(_as_bool, (_read(rows), _read(xs, k)), dtypes)
            carry, y = step(carry, own[1], own[0], weights)
            jax.tree.map(lambda ref, value: _write(ref, value, k), ys, y)
            return carry

        jax.tree.map(_write, state, lax.fori_loop(0, blocks.steps, body, _read(state)))

    call = jax.custom_jvp(
        pl.pallas_call(
            kernel,
            [*_flat(last), *_flat(ys)],
            grid=(pl.cdiv(count, blocks.rows), total // blocks.steps),
            in_specs=in_specs,
            out_specs=out_specs,
            interpret=limits.interpret,
            name=name,
            compiler_params=pltpu.CompilerParams(
                dimension_semantics=("parallel", "arbitrary"), vmem_limit_bytes=limits.bytes
            ),
        )
    )

    @call.defjvp
    def _(primals: Any, tangents: Any) -> Any:
        raise NotImplementedError(
            f"{name}: expected a kernel to be differentiated once, in reverse mode, got another "
            "derivative; use scan='auto'"
        )

    return structures[1].unflatten(call(*_flat(inputs)))


def _flat(tree: Any) -> list[Any]:
    return jax.tree.leaves(tree)


def _read(refs: Any, k: Any = ...) -> Any:
    return jax.tree.map(lambda ref: ref[k], refs)


def _write(ref: Any, value: Any, k: Any = ...) -> None:
    ref[k] = value


def _as_number(leaf: Any) -> Any:
    """A block of booleans is one of integers."""
    return leaf.astype(jnp.int32) if leaf.dtype == jnp.bool_ else leaf


def _as_bool(leaf: Any, dtype: Any) -> Any:
    return leaf != 0 if dtype == jnp.bool_ else leaf
