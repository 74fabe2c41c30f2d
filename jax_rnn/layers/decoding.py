"""Free-running decoding: a model reads the symbols that it writes."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jax_rnn.base.typing import Array, describe

__all__ = ["decode", "sample"]


def decode(
    step: Callable[[Array, Any], tuple[Array, Any]],
    state: Any,
    prompt: Any,
    length: int,
    *,
    choose: Callable[[Any, Array], Array] | None = None,
    key: Array | None = None,
    end: int | None = None,
    fill: int = 0,
    forced: Any = None,
    start: Any = 0,
) -> tuple[Array, Any]:
    """Read a prompt, then write symbols, each of which is the input of the next step.

    Pure, so it works inside ``jax.jit`` and ``jax.vmap``. With a layer, ``step`` calls its method
    of this name::

        def step(symbols, state):
            y, state = layer.step(embedding(symbols), state)
            return linear(y), state

        symbols, state = decode(step, layer.initial_state(2), prompt, 20)

    Args:
        step: function ``step(symbols, state) -> (logits, state)`` with symbols (*batch,) and logits
            (*batch, S).
        state: before the first symbol of the prompt, a tree of arrays.
        prompt: (P, *batch) integers, P at least 1, e.g. a start symbol.
        length: int, number of symbols to write.
        choose: function ``choose(key, logits) -> symbols``; None (default) takes the likeliest.
            ``lambda key, logits: sample(key, logits, temperature=0.8)`` draws them.
        key: of ``jax.random``; step t passes ``fold_in(key, t)`` to ``choose``. None (default)
            passes None.
        end: int, symbol after which the rest of a row is ``fill``; decoding stops when all rows
            have ended. None (default) always writes ``length`` symbols.
        fill: int, 0 by default.
        forced: (length,) or (length, *batch) integers, symbols to write in place of the chosen
            ones where they are not negative; None (default) forces none.
        start: number of the first step, for ``key``; 0 by default.

    Returns:
        The symbols, (length, *batch), and the state before the last of them is read, with which
        decoding continues, ``decode(step, state, symbols[-1:], ...)``.

    Raises:
        ValueError: an empty prompt, a length below 1. TypeError: a prompt that is not integers.
    """
    prompt = jnp.asarray(prompt)
    if not jnp.issubdtype(prompt.dtype, jnp.integer):
        raise TypeError(f"prompt: expected integers, got {describe(prompt)}")
    if prompt.ndim == 0 or prompt.shape[0] == 0 or length < 1:
        raise ValueError(
            f"decode: expected a prompt of at least one symbol and a length of at least 1, got a "
            f"prompt of shape {prompt.shape} and a length of {length}"
        )
    choose = choose or (lambda key, logits: logits.argmax(-1))
    batch, read = prompt.shape[1:], prompt.shape[0] - 1
    free = jnp.full((length, *batch), -1, prompt.dtype)
    if forced is not None:
        forced = jnp.asarray(forced, prompt.dtype)
        free = jnp.broadcast_to(
            forced.reshape(length, *forced.shape[1:] or (1,) * len(batch)), free.shape
        )
    known = jnp.concatenate([prompt[1:], free])

    def goes_on(carried: Any) -> Any:
        t, _, _, ended, _ = carried
        return (t < read + length) & ~ended.all()

    def write(carried: Any) -> Any:
        t, symbols, state, ended, written = carried
        logits, state = step(symbols, state)
        own = None if key is None else jax.random.fold_in(key, start + t)
        chosen = choose(own, logits).astype(prompt.dtype)
        symbols = jnp.where(known[t] < 0, chosen, known[t])
        symbols = jnp.where(ended, jnp.asarray(fill, prompt.dtype), symbols)
        if end is not None:
            ended |= (symbols == end) & (t >= read)
        return t + 1, symbols, state, ended, written.at[t].set(symbols)

    written = jnp.full(known.shape, fill, prompt.dtype)
    carried = jnp.zeros((), jnp.int32), prompt[0], state, jnp.zeros(batch, bool), written
    _, _, state, _, written = lax.while_loop(goes_on, write, carried)
    return written[read:], state


def sample(key: Any, logits: Array, temperature: Any = 1.0, top_k: Any = None) -> Array:
    """One symbol per row, among the ``top_k`` likeliest, from softmax(logits / temperature).

    Args:
        key: of ``jax.random``.
        logits: (*batch, S).
        temperature: float, 0 takes the likeliest; may be traced.
        top_k: int, may be traced; None (default) is all.

    Returns:
        (*batch,) int32.
    """
    order = jnp.argsort(logits, axis=-1, descending=True)
    ranked = jnp.take_along_axis(logits, order, -1)
    ranked = (ranked - ranked[..., :1]) / jnp.where(temperature > 0, temperature, 1)
    kept = jnp.where(temperature > 0, logits.shape[-1] if top_k is None else top_k, 1)
    ranked = jnp.where(jnp.arange(logits.shape[-1]) < kept, ranked, -jnp.inf)
    rank = jax.random.categorical(key, ranked)[..., None]
    return jnp.take_along_axis(order, rank, -1)[..., 0].astype(jnp.int32)
