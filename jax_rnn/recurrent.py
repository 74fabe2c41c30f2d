"""``Recurrent``: stacked cells that run over time in one or two directions."""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, overload

import jax
import jax.numpy as jnp
from flax import nnx

from jax_rnn.arguments import ConstructorSignature, check_rate
from jax_rnn.calls import (
    LayerState,
    check_features,
    check_input,
    check_layer_state,
    final_state,
    initial_carries,
    recorded,
)
from jax_rnn.cells.base import Cell
from jax_rnn.cells.wrapper import Recorded, Recorder
from jax_rnn.randomness import call_key, draw_step, drop, is_random, key_of_cell
from jax_rnn.scans.base import Constants, Inputs, Scan
from jax_rnn.scans.choice import check_scan, chosen, run
from jax_rnn.scans.step import advance, clean
from jax_rnn.sequences import check_lengths, check_resets, lengths_to_mask
from jax_rnn.stack import Stack
from jax_rnn.typing import Array, Float, Size, State

__all__ = ["LayerState", "Recurrent"]


class Recurrent(Stack):
    """Stacked layers of any cells over a sequence, in one or both directions.

    ``Recurrent(cell)`` is one layer; ``Recurrent(first, second)`` feeds the outputs of ``first``
    to ``second``. A pair ``(forward, backward)`` instead of a cell makes a bidirectional layer:
    the backward cell reads from the end, and the outputs of the two are concatenated. Cells may
    differ in kind and width, if each reads as many features as the layer below returns. Every call
    is pure, so a layer works inside ``jax.jit``, ``jax.grad``, ``jax.vmap`` and their ``nnx``
    counterparts.

    Call: ``output, h_n = layer(input, hx=None, *, lengths=None, resets=None, rngs=None)``, shapes
        as in torch.nn:

        input: (T, B, I); (B, T, I) with ``batch_first``; (T, I) without a batch. There may be
            several batch axes in place of B. A cell with several feature axes, e.g. a convolution,
            reads them in place of I.
        hx: the state before the first step, that of ``initialize_carry`` (zeros) if absent. An
            array (L, B, H) if the cell's carry is one array, else a tuple of them in the order of
            the carry's fields, ``(h_0, c_0)`` for LSTM; (L, H) without a batch. L is layers times
            directions, the two directions of a layer next to each other. ``batch_first`` does not
            change it. The carry's own type and ``nnx.Param`` instead of an array are supported too.
            If the carries of the cells differ: a tuple with one carry for each cell.
        lengths: (B,) integers from 0 to T, the number of valid steps of each sequence. It replaces
            torch's PackedSequence: later outputs are zero, the final state is the one after the
            last valid step (the initial state for length 0), the backward direction starts at that
            step, and values in the padding, including NaN, affect neither outputs nor gradients.
            Inside ``jax.jit``, where values are unknown, lengths are clipped to 0..T.
        resets: booleans in the layout of the input without its features, (T, B). Before a step that
            is True the state goes back to that of ``initialize_carry``, in every layer, so the
            result is that of separate calls for the pieces in between. The backward direction
            starts anew at the end of each piece. No gradient passes a reset.
        rngs: ``nnx.Rngs(dropout=seed)`` or a key of ``jax.random.key``; required in training mode
            for dropout and for cells that draw random numbers.
        return_states: bool, whether to return the states after every step too; False by default.
        output: outputs of the last layer, in the layout of the input, with O features.
        h_n: the state after the last step, in the layout of ``hx``.
        states: with ``return_states``, a tuple with a carry for each cell, whose arrays have the
            layout of the input; zero in the padding.

    Args:
        layers: cells or pairs of cells, the first reads the input.
        batch_first: bool, whether batched inputs and outputs are (B, T, features); False by
            default.
        dropout: float from 0 to 1, 0 by default, dropout rate of the outputs of every layer except
            the last, in training mode; ``layer.eval()`` and ``layer.train()`` switch the mode, as
            in torch.
        scan: how cells run over time, a ``jax_rnn.scans.Scan`` or the name of one: ``"gated"``,
            fast, for every ``GatedCell``; ``"associative"``, for every ``LinearCell``;
            ``"sequential"``, the definition, for any cell; ``"auto"`` (default), the first of them
            that suits the cell, the size and the platform. ``chosen_scans(input_shape)`` returns
            the choice. Values and derivatives are the same.
            ``Checkpointed(every=100)`` saves memory for long sequences, ``Sequential(unroll=4)``
            and ``Gated(unroll=4)`` compute several steps in an iteration of the compiled loop.

    Raises:
        TypeError: an argument that is not a ``Cell``; an ``hx`` of a wrong type; lengths that are
            not integers; resets that are not booleans; a dropout that is not a number.
        ValueError: cells whose sizes do not match; inputs, states, lengths or resets of a wrong
            rank, size, dtype or value; a sequence without steps; a dropout outside [0, 1]; random
            numbers without ``rngs``; an unknown scan, or one that does not support a cell. All are
            raised before compilation.
    """

    __signature__ = ConstructorSignature()

    def __init__(
        self,
        *layers: Cell | tuple[Cell, Cell],
        batch_first: bool = False,
        dropout: float = 0.0,
        scan: Scan | str = "auto",
    ):
        pairs = [layer if isinstance(layer, tuple) else (layer,) for layer in layers]
        check_rate("dropout", dropout)
        super().__init__(pairs)
        check_scan(scan, self._cells())
        self.batch_first = batch_first
        self.dropout = nnx.Dropout(float(dropout))
        self.scan = scan

    @overload
    def __call__(
        self,
        input: Float[Array, "..."],
        hx: State | None = None,
        *,
        lengths: Any = None,
        resets: Any = None,
        rngs: nnx.Rngs | Array | None = None,
        return_states: Literal[False] = False,
    ) -> tuple[Float[Array, "..."], State]: ...

    @overload
    def __call__(
        self,
        input: Float[Array, "..."],
        hx: State | None = None,
        *,
        lengths: Any = None,
        resets: Any = None,
        rngs: nnx.Rngs | Array | None = None,
        return_states: Literal[True],
    ) -> tuple[Float[Array, "..."], State, tuple[Any, ...]]: ...

    def __call__(
        self,
        input: Float[Array, "..."],
        hx: State | None = None,
        *,
        lengths: Any = None,
        resets: Any = None,
        rngs: nnx.Rngs | Array | None = None,
        return_states: bool = False,
    ) -> Any:
        name = type(self).__name__
        check_input(name, input, self.cells[0], self.batch_first)
        outer, at = self._axes(input.ndim)
        steps, batch = input.shape[at], input.shape[:at] + input.shape[at + 1 : outer]
        if lengths is not None:
            lengths = check_lengths(lengths, batch, steps, name)
        if resets is not None:
            resets = jnp.moveaxis(check_resets(resets, input.shape[:outer], name), at, 0)
        key = self._key(rngs)
        carries = self._initial_carries((*batch, *input.shape[outer:-1]), hx)
        mask = None if lengths is None else lengths_to_mask(lengths, steps)
        xs = input
        if self.batch_first:
            if mask is not None:  # under jax.debug_nans even moving a NaN is an error
                xs = clean(xs, jnp.moveaxis(mask, 0, at))
            xs = jnp.moveaxis(xs, at, 0)
        lay_out = partial(recorded, dtype=self.dtype, at=at) if return_states else None
        xs, last, states = self._run(xs, carries, key, lay_out, mask=mask, resets=resets)
        output = jnp.moveaxis(xs, 0, at) if self.batch_first else xs
        h_n = final_state(last, self.dtype)
        return (output, h_n, tuple(states)) if return_states else (output, h_n)

    def initial_state(
        self,
        batch: int | tuple[Size, ...] = (),
        *,
        inner: tuple[Size, ...] = (),
        rngs: nnx.Rngs | Array | None = None,
    ) -> LayerState:
        """The state before the first ``step``.

        Args:
            batch: int or tuple of ints, the batch axes of the inputs; () (default) is no batch.
            inner: the feature axes before the last one, for cells that have several.
            rngs: as in a call; the same key draws the same numbers as a call on all steps.
        """
        batch = (batch,) if isinstance(batch, int) else tuple(batch)
        carries = self._initial_carries((*batch, *inner), None)
        return LayerState(tuple(carries), jnp.zeros((), jnp.int32), self._key(rngs))

    def step(
        self,
        x: Float[Array, "..."],
        state: LayerState,
        *,
        reset: Any = None,
    ) -> tuple[Float[Array, "..."], LayerState]:
        """One time step, for data that arrive one by one; equal to a call on all steps.

        Args:
            x: inputs of one step, (B, I), or (I,) without a batch.
            state: result of ``initial_state`` or of the step before.
            reset: (B,) booleans, sequences whose state goes back to the initial one first.

        Returns:
            The outputs (B, O), and the next state.

        Raises:
            ValueError: a bidirectional layer, which needs the whole sequence.
        """
        name = type(self).__name__
        if self.bidirectional:
            raise ValueError(
                f"{name}.step: expected a layer of one direction, got a bidirectional one, whose "
                "backward direction starts at the end of the sequence; call it on all steps"
            )
        check_layer_state(f"{name}.step", state)
        check_features(name, x, self.cells[0])
        batch = x.shape[: x.ndim - self.cells[0].num_feature_axes]
        if reset is not None:
            reset = check_resets(reset, batch, f"{name}.step")
        carries = []
        for k, (cell, carry) in enumerate(zip(self.cells, state.carries, strict=True)):
            if k > 0:
                x = self._drop(x[None], state.key, k, state.time)[0]
            noise = draw_step(cell, key_of_cell(cell, state.key, k), state.time, batch)
            initial = None if reset is None else cell.initialize_carry(x.shape)
            inputs = Inputs(x, None, reset, noise[0])
            carry, x = advance(cell, carry, inputs, Constants(initial, noise[1]))
            carries.append(carry)
        return x, LayerState(tuple(carries), state.time + 1, state.key)

    def chosen_scans(
        self, input_shape: tuple[Size, ...], platform: str | None = None
    ) -> tuple[Scan, ...]:
        """The scan of every cell, layer by layer, for inputs of this shape.

        ``platform`` is ``"cpu"``, ``"cuda"``, ``"rocm"`` or ``"tpu"``; None is the default backend.
        """
        platform = platform or jax.default_backend().replace("gpu", "cuda")
        _, at = self._axes(len(input_shape))
        shape = (input_shape[at], *input_shape[:at], *input_shape[at + 1 :])
        return tuple(chosen(cell, shape, self.scan, platform) for cell in self._cells())

    def _axes(self, ndim: int) -> tuple[int, int]:
        """The number of axes of an input before its features, and which of them is time."""
        outer = ndim - self.cells[0].num_feature_axes
        return outer, outer - 1 if self.batch_first else 0

    def _run(
        self,
        xs: Array,
        carries: list[Any],
        key: Array | None,
        lay_out: Callable[[Array], Array] | None,
        **options: Any,
    ) -> tuple[Array, list[Any], list[Any]]:
        """The outputs and last carries of all layers, and with ``lay_out`` the recorded states."""
        last, states = [], []
        for k, directions in enumerate(self._directions()):
            if k > 0:
                xs = self._drop(xs, key, k)
            outputs = []
            for cell, reverse in zip(directions, (False, True), strict=False):
                carry, ys = run(
                    Recorder(cell) if lay_out else cell,
                    carries[len(last)],
                    xs,
                    key=key_of_cell(cell, key, len(last)),
                    reverse=reverse,
                    scan=self.scan,
                    **options,
                )
                if isinstance(ys, Recorded):
                    if lay_out:
                        states.append(jax.tree.map(lay_out, ys.carry))
                    ys = ys.y
                last.append(carry)
                outputs.append(ys)
            xs = outputs[0] if len(outputs) == 1 else jnp.concatenate(outputs, axis=-1)
        return xs, last, states

    def _drops(self) -> bool:
        rate, off = self.dropout.rate, self.dropout.deterministic
        return rate > 0 and not off and self.num_layers > 1

    def _drop(self, xs: Array, key: Any, layer: int, first: Any = 0) -> Array:
        """Dropout of the outputs of a layer, if it is switched on."""
        return drop(xs, self.dropout.rate, key, layer, first) if self._drops() else xs

    def _key(self, rngs: Any) -> Any:
        """The key of a call; None if nothing is random."""
        dropout, random = self._drops(), any(map(is_random, self._cells()))
        if self.dropout.deterministic or not (dropout or random):
            return None
        what = f"dropout {self.dropout.rate}" if dropout else "a cell that draws random numbers"
        return call_key(type(self).__name__, rngs, what)

    def _initial_carries(self, batch: tuple[Size, ...], hx: Any) -> list[Any]:
        return initial_carries(type(self).__name__, self._cells(), batch, hx, self.dtype)
