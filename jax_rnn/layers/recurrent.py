"""``Recurrent``: stacked cells that run over time in one or two directions."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jax_rnn.base.arguments import ConstructorSignature, check_rate
from jax_rnn.base.typing import Array, Float, Size, State
from jax_rnn.cells.base import Cell
from jax_rnn.cells.inputs import (
    batch_of,
    check_input,
    input_like,
    lead,
    leaves_of,
    of_lead,
    output_axes,
)
from jax_rnn.cells.randomness import call_key, draw_step, drop, is_random, key_of_cell
from jax_rnn.layers.calls import (
    LayerState,
    check_context,
    check_layer_state,
    check_sequence,
    final_state,
    initial_carries,
    laid_out,
    mesh_of,
)
from jax_rnn.layers.sequences import check_lengths, check_resets, lengths_to_mask
from jax_rnn.layers.stack import as_layers
from jax_rnn.scans.base import Scan
from jax_rnn.scans.choice import Choice, check_scan, choice
from jax_rnn.scans.runner import run_all, run_step
from jax_rnn.scans.step import clean

__all__ = ["LayerState", "Recurrent"]


class Recurrent(nnx.Module):
    """Stacked layers of any cells over a sequence, in one or both directions.

    ``Recurrent(cell)`` is one layer; ``Recurrent(first, second)`` feeds the outputs of ``first``
    to ``second``. A pair ``(forward, backward)`` instead of a cell makes a bidirectional layer:
    the backward cell reads from the end, and the outputs of the two are concatenated;
    ``(None, backward)`` is a layer that runs only backward. Layers may differ in their directions,
    and cells in kind and width, if each reads as many features as the layer below returns. Every
    call is pure, so a layer works inside ``jax.jit``, ``jax.grad``, ``jax.vmap`` and their ``nnx``
    counterparts. ``cells[k]`` and ``reverse_cells[k]`` are the cells of layer k, None where it has
    no such direction; ``reverse_cells`` is empty if no layer runs backward.

    Call: ``output, h_n = layer(input, hx=None, *, lengths=None, resets=None, context=None,
        rngs=None)``, shapes as in torch.nn:

        input: (T, B, I); (B, T, I) with ``batch_first``; (T, I) without a batch. There may be
            several batch axes in place of B. A cell with several feature axes, e.g. a convolution,
            reads them in place of I. A cell that reads several arrays is given a tree of them.
        hx: the state before the first step, that of ``initialize_carry`` (zeros) if absent. An
            array (L, B, H) if the cell's carry is one array, else a tuple of them in the order of
            the carry's fields, ``(h_0, c_0)`` for LSTM; (L, H) without a batch. L is the number of
            cells, the two directions of a layer next to each other. ``batch_first`` does not
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
        context: tree of arrays that are the same in every step, for cells with a method that takes
            ``context``; batch axes first, by convention. Gradients flow to it.
        rngs: ``nnx.Rngs(dropout=seed)`` or a key of ``jax.random.key``; required in training mode
            for dropout and for cells that draw random numbers.
        return_states: bool, whether to return the states after every step too; False by default.
        return_extras: bool, whether to return what the scan of every cell returns beside outputs
            and state too, None if it is nothing; False by default.
        output: outputs of the last layer, in the layout of the input, with O features.
        h_n: the state after the last step, in the layout of ``hx``.
        states: with ``return_states``, a tuple with a carry for each cell, whose arrays have the
            layout of the input; zero in the padding.
        extras: with ``return_extras``, the last value returned, a tuple of one entry for each cell.

    Args:
        layers: cells or pairs of cells, the first reads the input; None in a pair is no cell.
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
            not integers; resets that are not booleans; a context that no cell reads; a dropout
            that is not a number; a scan that can be changed.
        ValueError: cells whose sizes do not match; inputs, states, lengths or resets of a wrong
            rank, size, dtype or value; a sequence without steps; a dropout outside [0, 1]; random
            numbers without ``rngs``; an unknown scan, or one that does not support a cell. All are
            raised before compilation.
    """

    __signature__ = ConstructorSignature()

    def __init__(
        self,
        *layers: Cell | tuple[Cell | None, Cell | None],
        batch_first: bool = False,
        dropout: float = 0.0,
        scan: Scan | str = "auto",
    ):
        check_rate("dropout", dropout)
        pairs = as_layers(layers)
        self.cells = nnx.List([forward for forward, _ in pairs])
        backward = any(cell is not None for _, cell in pairs)
        self.reverse_cells = nnx.List([cell for _, cell in pairs if backward])
        check_scan(scan, self._cells())
        self.batch_first = batch_first
        self.dropout = nnx.Dropout(float(dropout))
        self.scan = scan

    @property
    def num_layers(self) -> int:
        return len(self.cells)

    @property
    def bidirectional(self) -> bool:
        """Whether a layer runs backward."""
        return len(self.reverse_cells) > 0

    @property
    def input_size(self) -> Any:
        return self._cells()[0].input_size

    @property
    def hidden_size(self) -> int:
        return self._cells()[-1].hidden_size

    @property
    def dtype(self) -> jnp.dtype:
        """Dtype of inputs, outputs, states and parameters."""
        return self._cells()[0].dtype

    def __call__(
        self,
        input: Any,
        hx: State | None = None,
        *,
        lengths: Any = None,
        resets: Any = None,
        context: Any = None,
        rngs: nnx.Rngs | Array | None = None,
        return_states: bool = False,
        return_extras: bool = False,
    ) -> Any:
        name, first = type(self).__name__, self._cells()[0]
        check_sequence(name, input, first, self.batch_first)
        at, outer, one = self._layout(input)
        steps, batch = outer[at], outer[:at] + outer[at + 1 :]
        if lengths is not None:
            lengths = check_lengths(lengths, batch, steps, name)
        if resets is not None:
            resets = jnp.moveaxis(check_resets(resets, outer, name), at, 0)
        check_context(name, context, self._cells())
        key = self._key(rngs)
        with mesh_of(name, self, input):
            carries = initial_carries(name, self._reads(one), hx, self.dtype)
            mask = None if lengths is None else lengths_to_mask(lengths, steps)
            options: dict[str, Any] = {"mask": mask, "resets": resets, "states": return_states}
            xs = input
            if self.batch_first:
                if mask is not None:  # under jax.debug_nans even moving a NaN is an error
                    xs = clean(xs, jnp.moveaxis(mask, 0, at))
                xs = jax.tree.map(lambda leaf: jnp.moveaxis(leaf, at, 0), xs)
            xs, last, states, extras = self._run(xs, carries, key, context, options)
            output = jnp.moveaxis(xs, 0, at) if self.batch_first else xs
            result: tuple[Any, ...] = output, final_state(last, self.dtype)
            if return_states:
                result = *result, tuple(laid_out(carry, self.dtype, at) for carry in states)
        return (*result, tuple(extras)) if return_extras else result

    def initial_state(
        self,
        batch: int | tuple[Size, ...] = (),
        *,
        hx: State | None = None,
        inner: tuple[Size, ...] = (),
        rngs: nnx.Rngs | Array | None = None,
        time: int = 0,
    ) -> LayerState:
        """The state before the next ``step``.

        Args:
            batch: int or tuple of ints, the batch axes of the inputs; () (default) is no batch.
            hx: the state to continue from, as in a call, e.g. the ``h_n`` of a call on a prompt;
                None (default) is the initial state.
            inner: the feature axes before the last one, for cells that have several.
            rngs: as in a call; the same key draws the same numbers as a call on all steps.
            time: int, number of steps before, on which the random numbers depend; 0 by default.

        Raises:
            TypeError, ValueError: an ``hx`` of another form.
        """
        batch = (batch,) if isinstance(batch, int) else tuple(batch)
        x = of_lead(self._cells()[0], (*batch, *inner))
        carries = initial_carries(type(self).__name__, self._reads(x), hx, self.dtype)
        return LayerState(tuple(carries), jnp.asarray(time, jnp.int32), self._key(rngs))

    def step(
        self, x: Any, state: LayerState, *, reset: Any = None, context: Any = None
    ) -> tuple[Float[Array, "..."], LayerState]:
        """One time step, for data that arrive one by one; equal to a call on all steps.

        Args:
            x: inputs of one step, (B, I), or (I,) without a batch.
            state: result of ``initial_state`` or of the step before.
            reset: (B,) booleans, sequences whose state goes back to the initial one first.
            context: as in a call.

        Returns:
            The outputs (B, O), and the next state.

        Raises:
            ValueError: a layer that runs backward, which needs the whole sequence.
        """
        name = f"{type(self).__name__}.step"
        if self.bidirectional:
            raise ValueError(
                f"{name}: expected a layer of one direction, got a bidirectional one, whose "
                "backward direction starts at the end of the sequence; call it on all steps"
            )
        check_layer_state(name, state)
        check_input(name, self.cells[0], x)
        check_context(name, context, self._cells())
        batch = batch_of(self.cells[0], x)
        if reset is not None:
            reset = check_resets(reset, batch, name)
        carries = []
        for k, (cell, carry) in enumerate(zip(self._cells(), state.carries, strict=True)):
            if k > 0:
                x = self._drop(x[None], state.key, k, state.time)[0]
            noise = draw_step(cell, key_of_cell(cell, state.key, k), state.time, x)
            carry, x = run_step(cell, carry, x, noise, reset=reset, context=context)
            carries.append(carry)
        return x, LayerState(tuple(carries), state.time + 1, state.key)

    def chosen_scans(self, input_shape: Any, platform: str | None = None) -> Choice:
        """The scan of every cell, layer by layer, for inputs of this shape, or tree of shapes.

        ``platform`` is ``"cpu"``, ``"cuda"``, ``"rocm"`` or ``"tpu"``; None is the default backend.
        The result is a tuple of scans. Its attribute ``reasons``, which printing it shows, says for
        each cell why a faster scan does not run it, or None.
        """
        platform = platform or jax.default_backend().replace("gpu", "cuda")
        at, _, x = self._layout(input_like(self._cells()[0], input_shape))
        first = leaves_of(self._cells()[0], input_shape)[0][0]
        return choice(self._reads(x), first[at], self.scan, platform)

    def _layout(self, input: Any) -> tuple[int, tuple[Size, ...], Any]:
        """Which axis of an input is time, its axes before the features, an input of one step."""
        leaf, axes, *_ = leaves_of(self._cells()[0], input)[0]
        outer = tuple(leaf.shape[: len(leaf.shape) - axes])
        at = len(outer) - 1 if self.batch_first else 0

        def one(leaf: Any) -> Any:
            return jax.ShapeDtypeStruct(leaf.shape[:at] + leaf.shape[at + 1 :], leaf.dtype)

        return at, outer, jax.tree.map(one, input)

    def _layers(self) -> Iterator[list[tuple[Cell, bool]]]:
        """For every layer its cells, and whether they run backward."""
        backward = self.reverse_cells or [None] * self.num_layers
        for pair in zip(self.cells, backward, strict=True):
            yield [(cell, k == 1) for k, cell in enumerate(pair) if cell is not None]

    def _cells(self) -> list[Cell]:
        return [cell for layer in self._layers() for cell, _ in layer]

    def _reads(self, x: Any) -> list[tuple[Cell, Any]]:
        """Every cell with the shapes and dtypes of what it reads, for inputs like x of a step."""
        first, *above = self._layers()
        axes = lead(first[0][0], x)
        if output_axes(first[0][0]) == 1:
            axes = batch_of(first[0][0], x)
        upper = [(cell, of_lead(cell, axes)) for layer in above for cell, _ in layer]
        return [(cell, x) for cell, _ in first] + upper

    def _run(
        self, xs: Any, carries: list[Any], key: Array | None, context: Any, options: dict[str, Any]
    ) -> tuple[Array, list[Any], list[Any], list[Any]]:
        """The outputs of the last layer; last carries, all carries and extras of all cells."""
        results: list[Any] = []
        for k, layer in enumerate(self._layers()):
            xs = self._drop(xs, key, k) if k > 0 else xs
            outputs = []
            for cell, reverse in layer:
                number = len(results)
                carry, ys, *more = run_all(
                    cell,
                    carries[number],
                    xs,
                    key=key_of_cell(cell, key, number),
                    context=context if cell._takes("context") else None,
                    reverse=reverse,
                    scan=self.scan,
                    **options,
                )
                results.append((carry, *more))
                outputs.append(ys)
            xs = outputs[0] if len(outputs) == 1 else jnp.concatenate(outputs, axis=-1)
        last, states, extras = map(list, zip(*results, strict=True))
        return xs, last, states, extras

    def _drops(self) -> bool:
        rate, off = self.dropout.rate, self.dropout.deterministic
        return rate > 0 and not off and self.num_layers > 1

    def _drop(self, xs: Array, key: Any, layer: int, first: Any = 0) -> Array:
        """Dropout of the outputs of a layer, if it is switched on."""
        return drop(xs, self.dropout.rate, key, layer, first) if self._drops() else xs

    def _key(self, rngs: Any) -> Any:
        """The key of a call; None if nothing is random."""
        if self.dropout.deterministic:
            return None
        dropout, random = self._drops(), any(map(is_random, self._cells()))
        if not (dropout or random):
            return None
        what = f"dropout {self.dropout.rate}" if dropout else "a cell that draws random numbers"
        return call_key(type(self).__name__, rngs, what)
