"""Sequences of different lengths in one batch: masks, and torch's packed form.

Packed form (``torch.nn.utils.rnn.PackedSequence``): the steps of all sequences in one axis, first
step 0 of every sequence, then step 1, and so on, the longest sequence first. Layers of this library
take ``lengths`` instead; these functions are for porting code.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jax_rnn.base.typing import Array, Bool, Integer, Size, as_numpy

__all__ = [
    "PackedSequence",
    "check_lengths",
    "check_resets",
    "lengths_to_mask",
    "pack_padded_sequence",
    "pad_packed_sequence",
]


class PackedSequence(NamedTuple):
    """The fields of torch's class of the same name, as arrays.

    Attributes:
        data: (sum of lengths, *features).
        batch_sizes: (longest,), number of sequences with this step.
        sorted_indices: (B,), indices that sort the batch, the longest sequence first.
        unsorted_indices: (B,), indices that restore the order.
    """

    data: Any
    batch_sizes: Any
    sorted_indices: Any
    unsorted_indices: Any


def lengths_to_mask(
    lengths: Integer[Array, "*batch"] | np.ndarray, steps: Size
) -> Bool[Array, "T *batch"]:
    """True at every step before the end of its sequence, time-major."""
    lengths = jnp.asarray(lengths)
    if jnp.issubdtype(lengths.dtype, jnp.unsignedinteger) and lengths.dtype.itemsize >= 4:
        lengths = jnp.minimum(lengths, 2**31 - 1)  # the largest are negative to a signed integer
    time = jnp.arange(steps).reshape(-1, *(1,) * lengths.ndim)
    return time < lengths[None]


def check_lengths(lengths: Any, batch: tuple[Size, ...], steps: Size, name: str) -> Any:
    """``lengths`` as an integer array of shape ``batch``, with values checked if they are known.

    Inside ``jax.jit``, where values are unknown, lengths are clipped to 0..``steps``.

    Raises:
        TypeError: not integers. ValueError: a wrong shape; a value below 0 or above ``steps``.
    """
    if not isinstance(lengths, Array):
        try:
            lengths = as_numpy(lengths)
        except ValueError as error:
            raise ValueError(
                f"{name}: expected lengths of shape {batch}, one for each sequence of the batch, "
                "got a list of unequal depth"
            ) from error
        if lengths.size == 0:
            lengths = lengths.astype(int)
    if not jnp.issubdtype(lengths.dtype, jnp.integer):
        raise TypeError(
            f"{name}: expected lengths to be integers, got {lengths.dtype}; "
            "use lengths.astype(int), one whole number for each sequence"
        )
    if lengths.shape != batch:
        raise ValueError(
            f"{name}: expected lengths of shape {batch}, one for each sequence of the batch, "
            f"got shape {lengths.shape}"
        )
    if not isinstance(lengths, Tracer):
        values = np.asarray(lengths)
        if values.size and not (values.min() >= 0 and values.max() <= steps):
            raise ValueError(
                f"{name}: expected lengths from 0 to {steps}, the number of time steps, got "
                f"values from {values.min()} to {values.max()}"
            )
    return lengths


def pack_padded_sequence(
    input: Any,
    lengths: Any,
    batch_first: bool = False,
    enforce_sorted: bool = True,
) -> PackedSequence:
    """``torch.nn.utils.rnn.pack_padded_sequence``, on arrays; lengths must be known (not in jit).

    Args:
        input: (T, B, ...), or (B, T, ...) with ``batch_first``; an array or a tensor of torch.
        lengths: (B,), each from 1 to T.
        enforce_sorted: refuse lengths that are not in descending order.

    Raises:
        TypeError, ValueError: lengths of the wrong type, count or size, or not sorted.
    """
    if isinstance(input, Tracer) or isinstance(lengths, Tracer):
        raise TypeError(
            "pack_padded_sequence: expected concrete arrays, got traced ones; inside jax.jit pass "
            "lengths= to the layer instead"
        )
    padded = as_numpy(input)
    if padded.ndim < 2:
        layout = "(B, T, ...)" if batch_first else "(T, B, ...)"
        raise ValueError(
            f"pack_padded_sequence: expected an input of shape {layout}, got {padded.shape}; "
            "a single sequence needs no packing"
        )
    padded = np.swapaxes(padded, 0, 1) if batch_first else padded
    lengths = np.asarray(
        check_lengths(lengths, padded.shape[1:2], len(padded), "pack_padded_sequence")
    )
    if lengths.size == 0 or lengths.min() < 1:
        raise ValueError(
            f"pack_padded_sequence: expected every length to be at least 1, got {lengths}; "
            "the lengths= of a layer may be 0"
        )
    if enforce_sorted and (np.diff(lengths) > 0).any():
        raise ValueError(
            f"pack_padded_sequence: expected lengths in descending order, got {lengths}; "
            "sort the batch or use enforce_sorted=False"
        )
    order = np.argsort(-lengths, kind="stable")
    running = np.arange(lengths.max())[:, None] < lengths[order]
    data = padded[: lengths.max(), order][running]
    return PackedSequence(jnp.asarray(data), running.sum(1), order, np.argsort(order))


def pad_packed_sequence(
    sequence: Any,
    batch_first: bool = False,
    padding_value: float = 0.0,
    total_length: int | None = None,
) -> tuple[Array, np.ndarray]:
    """``torch.nn.utils.rnn.pad_packed_sequence``; takes torch's PackedSequence or ours.

    Returns:
        The padded array, (T, B, ...) or (B, T, ...) with ``batch_first``, and the lengths, (B,).

    Raises:
        ValueError: ``total_length`` below the longest sequence.
    """
    data, sizes = as_numpy(sequence.data), as_numpy(sequence.batch_sizes)
    steps = len(sizes) if total_length is None else total_length
    if steps < len(sizes):
        raise ValueError(
            f"pad_packed_sequence: expected total_length to be at least {len(sizes)}, the longest "
            f"sequence, got {total_length}"
        )
    running = np.zeros((steps, sizes[0]), bool)
    running[: len(sizes)] = np.arange(sizes[0]) < sizes[:, None]
    padded = np.full((*running.shape, *data.shape[1:]), padding_value, data.dtype)
    padded[running] = data
    lengths = running.sum(0)
    if sequence.unsorted_indices is not None:
        back = as_numpy(sequence.unsorted_indices)
        padded, lengths = padded[:, back], lengths[back]
    return jnp.asarray(np.swapaxes(padded, 0, 1) if batch_first else padded), lengths


def check_resets(resets: Any, shape: tuple[Size, ...], name: str) -> Array:
    """``resets`` as a boolean array of this shape."""
    resets = resets if isinstance(resets, Array) else np.asarray(resets)
    if resets.dtype != bool:
        raise TypeError(
            f"{name}: expected resets to be booleans, got {resets.dtype}; use resets.astype(bool)"
        )
    if resets.shape != shape:
        raise ValueError(
            f"{name}: expected resets of shape {shape}, the input without its features, got shape "
            f"{resets.shape}"
        )
    return jnp.asarray(resets)
