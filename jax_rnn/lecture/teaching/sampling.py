"""Symbols drawn from a model, one after the other, in a compiled loop."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jax_rnn.layers.decoding import decode, sample
from rnn_lecture.sampling import Sampling, check_sampling

__all__ = ["stream"]

Predict = Callable[[Any, Any, Any], tuple[Any, Any]]
"""``predict(model, symbols (B,), state) -> (logits (B, S), state)``: one step."""


def stream(
    predict: Predict,
    model: Any,
    state: Any,
    prompt: np.ndarray,
    sampling: Sampling,
    *,
    rows: int = 1,
    slice_length: int = 64,
) -> Iterator[np.ndarray]:
    """Read a prompt, then draw ``sampling.length`` symbols that continue it.

    One compiled program reads and draws for any prompt and sampling; it runs ``slice_length`` steps
    per call.

    Args:
        predict: one step of the model; a function of a module, so that it compiles once.
        model: an NNX module.
        state: before the first symbol of the prompt; its arrays keep shape and dtype.
        prompt: (P,) symbols, at least one.
        sampling: how to draw.
        rows: B, number of sequences drawn from the same prompt.
        slice_length: steps between two pieces.

    Yields:
        (B, n) symbols each, as they are drawn.
    """
    check_sampling(sampling)
    prompt = np.asarray(prompt, np.int32)
    if prompt.ndim != 1 or not prompt.size:
        raise ValueError(f"prompt: expected at least one symbol, got shape {prompt.shape}")
    before = prompt.size - 1
    end = before + sampling.length
    key = jax.random.key(sampling.seed)
    limits = (jnp.float32(sampling.temperature), jnp.int32(sampling.top_k or np.iinfo("i4").max))

    def slices(symbols: Any, state: Any) -> Iterator[np.ndarray]:
        for start in range(0, end, slice_length):
            known = np.full(slice_length, -1, np.int32)
            part = prompt[1 + start : 1 + start + slice_length]
            known[: part.size] = part
            symbols, state, drawn = _run(predict, model, symbols, state, key, start, known, limits)
            piece = np.asarray(drawn)[:, max(before - start, 0) : end - start]
            if piece.size:
                yield piece

    return slices(jnp.full(rows, prompt[0], jnp.int32), state)


@partial(jax.jit, static_argnums=0)
def _run(
    predict: Predict,
    model: Any,
    symbols: Any,
    state: Any,
    key: Any,
    start: Any,
    known: Any,
    limits: tuple[Any, Any],
) -> tuple[Any, Any, Any]:
    """``known.size`` symbols from step ``start``: the known ones, and drawn ones in place of -1."""
    written, state = decode(
        partial(predict, model),
        state,
        symbols[None],
        known.shape[0],
        choose=lambda key, logits: sample(key, logits, *limits),
        key=key,
        forced=known,
        start=start,
    )
    return written[-1], state, written.T
