"""``Recurrent``: stacked cells that run over time in one or two directions."""

import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jax_rnn.arguments import ConstructorSignature, check_count, check_rate
from jax_rnn.cells.base import Cell, state_parts
from jax_rnn.scans.choice import Scan, check_scan, chosen, run
from jax_rnn.scans.masking import clean
from jax_rnn.sequences import check_lengths, lengths_to_mask
from jax_rnn.typing import Array, Float, Size, State, describe

__all__ = ["Recurrent"]


class Recurrent(nnx.Module):
    """Stacked layers of any cells over a sequence, in one or both directions.

    ``Recurrent(cell)`` is one layer; ``Recurrent(first, second)`` feeds the outputs of ``first``
    to ``second``. A pair ``(forward, backward)`` instead of a cell makes a bidirectional layer:
    the backward cell reads from the end, and the outputs of the two are concatenated. Every call
    is pure, so a layer works inside ``jax.jit``, ``jax.grad``, ``jax.vmap`` and their ``nnx``
    counterparts.

    Call: ``output, h_n = layer(input, hx=None, *, lengths=None, rngs=None)``, shapes as in
        torch.nn:

        input: (T, B, I); (B, T, I) with ``batch_first``; (T, I) without a batch. There may be
            several batch axes in place of B.
        hx: the state before the first step, zeros if absent. An array (L, B, H) if the cell's carry
            is one array, else a tuple of them in the order of the carry's fields, ``(h_0, c_0)``
            for LSTM; (L, H) without a batch. L is layers times directions, the two directions of a
            layer next to each other. ``batch_first`` does not change it. The carry's own type and
            ``nnx.Param`` instead of an array are supported too.
        lengths: (B,) integers from 0 to T, the number of valid steps of each sequence. It replaces
            torch's PackedSequence: later outputs are zero, the final state is the one after the
            last valid step (the initial state for length 0), the backward direction starts at that
            step, and values in the padding, including NaN, affect neither outputs nor gradients.
            Inside ``jax.jit``, where values are unknown, lengths are clipped to 0..T.
        rngs: ``nnx.Rngs(dropout=seed)`` or a key of ``jax.random.key``; required for dropout in
            training mode.
        output: outputs of the last layer, in the layout of the input, with O features.
        h_n: the state after the last step, in the layout of ``hx``.

    Args:
        layers: cells or pairs of cells, the first reads the input.
        batch_first: bool, whether batched inputs and outputs are (B, T, features); False by
            default.
        dropout: float from 0 to 1, 0 by default, dropout rate of the outputs of every layer except
            the last, in training mode; ``layer.eval()`` and ``layer.train()`` switch the mode, as
            in torch.
        unroll: int, steps per iteration of the compiled loop; 1 by default.
        scan: the scan over time: ``"gated"``, fast, for every ``GatedCell``; ``"sequential"``, the
            definition, for any cell; ``"auto"`` (default), the former if it supports the cell and
            a step is not tiny. ``chosen_scans(input_shape)`` returns the choice. Values and
            derivatives are the same.
        checkpoint_every: int, for long sequences: store one carry every this many steps, and
            recompute the steps between in the backward pass; None (default) stores everything that
            the gradient needs.

    Raises:
        TypeError: an argument that is not a ``Cell``; an ``hx`` of a wrong type; lengths that are
            not integers; a dropout that is not a number.
        ValueError: cells whose sizes do not match; inputs, states or lengths of a wrong rank, size,
            dtype or value; a sequence without steps; a dropout outside [0, 1]; dropout without
            ``rngs``; an unknown scan, or ``"gated"`` for a cell that it does not support. All are
            raised before compilation.
    """

    __signature__ = ConstructorSignature()

    def __init__(
        self,
        *layers: Cell | tuple[Cell, Cell],
        batch_first: bool = False,
        dropout: float = 0.0,
        unroll: int = 1,
        scan: Scan = "auto",
        checkpoint_every: int | None = None,
    ):
        pairs = [layer if isinstance(layer, tuple) else (layer,) for layer in layers]
        check_rate("dropout", dropout)
        check_count("unroll", unroll)
        _check_stack(pairs)
        check_scan(scan, checkpoint_every, *(type(cell) for pair in pairs for cell in pair))
        self.cells = nnx.List([pair[0] for pair in pairs])
        self.reverse_cells = nnx.List([pair[1] for pair in pairs if len(pair) == 2])
        self.batch_first = batch_first
        self.dropout = nnx.Dropout(float(dropout))
        self.unroll = unroll
        self.scan: Scan = scan
        self.checkpoint_every = checkpoint_every

    @property
    def num_layers(self) -> int:
        return len(self.cells)

    @property
    def bidirectional(self) -> bool:
        return len(self.reverse_cells) > 0

    @property
    def input_size(self) -> int:
        return self.cells[0].input_size

    @property
    def hidden_size(self) -> int:
        return self.cells[-1].hidden_size

    @property
    def dtype(self) -> jnp.dtype:
        """Dtype of inputs, outputs, states and parameters."""
        return self.cells[0].dtype

    def __call__(
        self,
        input: Float[Array, "*time_batch I"],
        hx: State | None = None,
        *,
        lengths: Any = None,
        rngs: nnx.Rngs | Array | None = None,
    ) -> tuple[Float[Array, "*time_batch O"], State]:
        self._check_input(input)
        *axes, _ = input.shape
        steps = axes.pop(-1 if self.batch_first else 0)
        batch = tuple(axes)
        if lengths is not None:
            lengths = check_lengths(lengths, batch, steps, type(self).__name__)
        self._check_rngs(rngs)
        carries = iter(self._initial_carries(batch, hx))
        mask = None if lengths is None else lengths_to_mask(lengths, steps)
        xs = input
        if self.batch_first:
            if mask is not None:  # under jax.debug_nans even moving a NaN is an error
                xs = clean(xs, jnp.moveaxis(mask, 0, -1))
            xs = jnp.moveaxis(xs, -2, 0)

        last = []
        for k, directions in enumerate(self._directions()):
            if k > 0:
                xs = self.dropout(xs, rngs=rngs)
            outputs = []
            for cell, reverse in zip(directions, (False, True), strict=False):
                carry, ys = run(
                    cell,
                    next(carries),
                    xs,
                    mask=mask,
                    reverse=reverse,
                    unroll=self.unroll,
                    scan=self.scan,
                    checkpoint_every=self.checkpoint_every,
                )
                last.append(carry)
                outputs.append(ys)
            xs = outputs[0] if len(outputs) == 1 else jnp.concatenate(outputs, axis=-1)

        h_n = jax.tree.map(lambda *states: jnp.stack(states).astype(self.dtype), *last)
        output = jnp.moveaxis(xs, 0, -2) if self.batch_first else xs
        return output, h_n[0] if len(h_n) == 1 else h_n

    def chosen_scans(self, input_shape: tuple[Size, ...]) -> tuple[str, ...]:
        """The scan of every cell, layer by layer, for inputs of this shape."""
        *batch, _, _ = input_shape if self.batch_first else (*input_shape[1:-1], 0, 0)
        rows = math.prod(batch)
        return tuple(
            chosen(cell, rows, self.scan) for cells in self._directions() for cell in cells
        )

    def _directions(self) -> Iterator[tuple[Cell, ...]]:
        for k, cell in enumerate(self.cells):
            yield (cell, self.reverse_cells[k]) if self.bidirectional else (cell,)

    def _check_rngs(self, rngs: Any) -> None:
        if self.dropout.rate == 0 or self.dropout.deterministic or self.num_layers == 1:
            return
        key = isinstance(rngs, Array) and jnp.issubdtype(rngs.dtype, jax.dtypes.prng_key)
        key = key and rngs.ndim == 0
        stream = isinstance(rngs, nnx.Rngs) and ("dropout" in rngs or "default" in rngs)
        if not key and not stream:
            raise (ValueError if rngs is None or isinstance(rngs, nnx.Rngs) else TypeError)(
                f"{type(self).__name__}: expected rngs while training with dropout "
                f"{self.dropout.rate}, got {_rngs_name(rngs)}; pass rngs=nnx.Rngs(dropout=seed) or "
                "a key of jax.random.key, or switch to evaluation with .eval()"
            )

    def _check_input(self, input: Array) -> None:
        name = type(self).__name__
        if not isinstance(input, Array | np.ndarray):
            raise TypeError(
                f"{name}: expected the input to be an array, got {describe(input)}; "
                "use jnp.asarray, and lengths= for sequences of different lengths"
            )
        if input.ndim < 2:
            layout = "(B, T, I)" if self.batch_first else "(T, B, I)"
            raise ValueError(
                f"{name}: expected an input of shape {layout}, or (T, I) without a batch, "
                f"got {input.shape}"
            )
        if input.shape[-1] != self.input_size:
            raise ValueError(
                f"{name}: expected {self.input_size} input features, got {input.shape[-1]}; the "
                "last axis of the input holds the features"
            )
        if input.shape[-2 if self.batch_first else 0] == 0:
            raise ValueError(
                f"{name}: expected at least one time step, got none in shape {input.shape}"
            )
        if input.dtype != self.dtype:
            raise ValueError(
                f"{name}: expected an input of dtype {self.dtype}, that of the parameters, "
                f"got {input.dtype}; cast the input with .astype, or build the layer with dtype="
            )

    def _initial_carries(self, batch: tuple[Size, ...], hx: Any) -> list[Any]:
        """Check ``hx``, and return the initial carry of every cell."""
        cells = [cell for directions in self._directions() for cell in directions]
        initialize = [partial(cell.initialize_carry, (*batch, cell.input_size)) for cell in cells]
        if hx is None:
            return [carry() for carry in initialize]
        name, wanted = type(self).__name__, jax.eval_shape(initialize[0])
        parts = state_parts(hx, wanted._fields)
        if parts is None and len(wanted) == 1:
            parts = (hx,)
        if parts is None:
            raise TypeError(
                f"{name}: expected hx to be a tuple ({', '.join(wanted._fields)}), "
                f"got {describe(hx)}"
            )
        for field, value, leaf in zip(wanted._fields, parts, wanted, strict=True):
            shape = (len(cells), *leaf.shape)
            if not isinstance(value, Array | np.ndarray):
                raise TypeError(
                    f"{name}: expected {field} of hx to be an array of shape {shape}, "
                    f"got {describe(value)}"
                )
            if value.shape != shape or value.dtype != self.dtype:
                raise ValueError(
                    f"{name}: expected {field} of hx to be a {self.dtype} array of shape {shape}, "
                    f"(layers * directions, {'batch, ' if batch else ''}features) for any "
                    f"batch_first, got {describe(value)}"
                )
        return [
            type(wanted)(
                *(part[k].astype(leaf.dtype) for part, leaf in zip(parts, wanted, strict=True))
            )
            for k in range(len(cells))
        ]


def _check_stack(layers: list[tuple[Cell, ...]]) -> None:
    """Check that all layers have the same directions and matching sizes."""
    if not layers:
        raise ValueError("Recurrent: expected at least one cell, got none")
    for cell in (cell for layer in layers for cell in layer):
        _check_cell(cell)
    directions = sorted({len(layer) for layer in layers})
    if directions not in ([1], [2]):
        raise ValueError(
            f"Recurrent: expected one or two directions, the same in all layers, got {directions}"
        )
    features = layers[0][0].input_size
    for layer in layers:
        for cell in layer:
            if cell.input_size != features:
                raise ValueError(
                    f"Recurrent: expected a cell with input_size {features} in this layer, "
                    f"got {type(cell).__name__} with input_size {cell.input_size}"
                )
        features = sum(cell.output_size for cell in layer)
    cells = [cell for layer in layers for cell in layer]
    if len(cells) > 1:
        _check_same_carry(cells)


def _check_cell(cell: Any) -> None:
    """Check that a scan can run the cell: pure, with one feature axis of the input."""
    kind = type(cell).__name__
    if isinstance(cell, type):
        raise TypeError(
            f"Recurrent: expected a cell, got the class {cell.__name__}; build one with "
            f"{cell.__name__}(input_size, hidden_size, rngs=nnx.Rngs(0))"
        )
    if not isinstance(cell, Cell):
        got = kind
        if isinstance(cell, nnx.RNNCellBase):
            got = f"nnx.{kind}; convert it with jax_rnn.from_flax(cell), or use nnx.RNN(cell)"
        raise TypeError(
            f"Recurrent: expected cells, or pairs (forward, backward) of them, got {got}"
        )
    if cell.num_feature_axes != 1:
        raise ValueError(
            f"Recurrent: expected a cell whose input has one axis of features, got {kind} with "
            f"num_feature_axes {cell.num_feature_axes}; use nnx.RNN(cell)"
        )
    if jax.tree.leaves(nnx.state(cell, nnx.RngState)):
        raise TypeError(
            f"Recurrent: expected a cell without random state, got {kind}, which holds nnx.Rngs; "
            "step must be pure: draw the noise before the loop and pass it as features of the "
            "input, or use Recurrent(..., dropout=rate) between layers"
        )
    carry: Any = jax.eval_shape(partial(cell.initialize_carry, (cell.input_size,)))
    if not hasattr(carry, "_fields"):
        raise TypeError(
            f"Recurrent: expected initialize_carry of {kind} to return a NamedTuple of arrays, "
            f"got {describe(carry)}; define one, class Carry(NamedTuple)"
        )
    for field, leaf in carry._asdict().items():
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            raise TypeError(
                f"Recurrent: expected a carry of numbers, got a PRNG key as {field} in the carry "
                f"of {kind}; draw the noise before the loop and pass it as features of the input"
            )


def _check_same_carry(cells: list[Cell]) -> None:
    """Check that all layers have equal states, which are stacked in one array."""
    carries = [_carry_name(cell) for cell in cells]
    for cell, carry in zip(cells, carries, strict=True):
        if carry != carries[0]:
            raise ValueError(
                f"Recurrent: expected every cell to carry {carries[0]}, got "
                f"{type(cell).__name__} with {carry}; use a separate Recurrent for each"
            )


def _carry_name(cell: Cell) -> str:
    carry = jax.eval_shape(partial(cell.initialize_carry, (cell.input_size,)))
    sizes = ", ".join(f"{field}: {leaf.shape}" for field, leaf in carry._asdict().items())
    return f"{type(carry).__name__}({sizes}) of {cell.dtype}"


def _rngs_name(rngs: Any) -> str:
    if isinstance(rngs, nnx.Rngs):
        return "an nnx.Rngs with no stream 'dropout'"
    return "none" if rngs is None else describe(rngs)
